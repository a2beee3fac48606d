"""`mailgov audit`: proofs from the ledger."""

import typer

from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.runtime import runtime

app = Noun()

_NAMED = 20  # messages that do not balance, named in the result


@app.command(epilog="mailgov audit conserve\nmailgov audit conserve --json")
def conserve(ctx: typer.Context) -> None:
    """Prove that nothing was lost: accepted = delivered + bounced + queued + held + removed."""
    from mailgov.queue.conserve import STATES
    from mailgov.queue.conserve import conserve as conserve_all

    run = runtime(ctx)
    with run.database.read() as session:
        balance = conserve_all(session)
    record = {
        "balanced": balance.holds,
        "messages": balance.messages,
        "accepted": balance.accepted,
        **{state: balance.states[state] for state in STATES},
        "discrepancies": len(balance.discrepancies),
        "unbalanced": [found.queue_id for found in balance.discrepancies[:_NAMED]],
    }
    run.emit("audit.conserve/1", [record], tuple(record), single=True)
    if not balance.holds:
        raise typer.Exit(Exit.FOUND)
