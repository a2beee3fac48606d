"""`mailgov trace`: what happened to a message, step by step, without a word of it."""

from datetime import timedelta
from typing import Annotated

import typer

from mailgov_cli.exits import UsageMistake
from mailgov_cli.grammar import Noun
from mailgov_cli.options import Since, parse_moment
from mailgov_cli.output import Format
from mailgov_cli.runtime import runtime

app = Noun(single=True)

FIELDS = ("at", "message", "kind", "actor", "recipient", "reply", "codes", "details")
_USUAL_SPAN = timedelta(days=7)
_MESSAGES = 100


@app.command(
    epilog="""mailgov trace 0kq3zv7m8hd2v5s1x9ya
    mailgov trace --to nvan@sonoivu.tinhmau.gov.vn --since 2d
    mailgov trace '<20261121.1@tinhmau.gov.vn>' --json"""
)
def trace(
    ctx: typer.Context,
    id_: Annotated[
        str, typer.Argument(help="queue id, or Message-ID with its brackets", metavar="ID")
    ] = "",
    from_: Annotated[str, typer.Option("--from", help="address of the sender")] = "",
    to: Annotated[str, typer.Option("--to", help="address of a recipient")] = "",
    since: Since = "",
    limit: Annotated[int, typer.Option("--limit", min=1, help="messages at most")] = _MESSAGES,
) -> None:
    """Each step of a message, and why rules struck; never content."""
    from mailgov.clock import utc_now
    from mailgov.errors import NotFound
    from mailgov.ledger import trace as ledger_trace
    from mailgov.texts.explanation import of_stored
    from mailgov_cli.explaining import explained_record, explanations

    run = runtime(ctx)
    if not (id_ or from_ or to):
        raise UsageMistake("trace-of-what")
    now = utc_now()
    with run.database.read() as session:
        if id_ and "@" not in id_:
            found = [id_]
        else:
            found = ledger_trace.find(
                session,
                sender=from_,
                recipient=to,
                header_message_id=id_,
                since=parse_moment(since, now) or now - _USUAL_SPAN,
                limit=limit,
            )
        steps = [step for queue_id in found for step in ledger_trace.steps(session, queue_id)]
        findings = ledger_trace.findings(session, found[0]) if len(found) == 1 else []
    if not steps:
        raise NotFound("message-unknown", about=id_ or " ".join(filter(None, (from_, to))))
    told = [of_stored(run.language, one, discreet=True) for one in findings]
    explained = [explained_record(one) for one in told] if run.as_json else []
    run.emit("trace/1", [_row(step, explained) for step in steps], FIELDS)
    if run.shown_format is Format.TABLE and run.output is None and told:
        actions = [str(one["action"]) for one in findings]
        lines = explanations(zip(told, actions, strict=True), run.language)
        run.emit_text("\n".join(("", *lines)) + "\n")


def _row(step: dict[str, object], explained: list[dict[str, object]]) -> dict[str, object]:
    """One step: what every kind has in columns of its own, the rest together.

    The step that the rules decided carries their explanations.
    """
    row = {name: step[name] for name in FIELDS if name in step}
    if "recipient" not in row and isinstance(step.get("recipients"), list):
        row["recipient"] = step["recipients"]
    rest = {name: value for name, value in step.items() if name not in (*FIELDS, "recipients")}
    if isinstance(step.get("recipients"), int):
        rest["recipients"] = step["recipients"]
    codes = step.get("codes")
    here = [one for one in explained if isinstance(codes, list) and one["code"] in codes]
    return {**row, "details": {**rest, "explained": here} if here else rest}
