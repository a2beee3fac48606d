"""`mailgov reload`: let the running servers read their configuration and certificate again."""

import typer

from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.runtime import runtime

app = Noun(single=True, place=Place.SERVER)

WAIT_SECONDS = 120.0


@app.command(epilog="mailgov reload")
def reload(ctx: typer.Context) -> None:
    """Apply the configuration as it is now, whole; a bad one changes nothing, and says why."""
    from mailgov.errors import MailgovError, NotFound
    from mailgov.reload import ask
    from mailgov_cli import words

    run = runtime(ctx)
    _ = run.config  # what is not valid is told here, in full
    told = ask(run.config.data.path, WAIT_SECONDS)
    if not told:
        raise NotFound("server-not-running", folder=run.config.data.path)
    rows = []
    for one in told:
        code = one["code"]
        why = words.tell(MailgovError(code, **one["fields"]), run.language)[0] if code else ""
        rows.append({"pid": one["pid"], "applied": not code, "code": code, "why": why})
    run.emit("reload/1", rows, ("pid", "applied", "code", "why"))
    if any(row["code"] for row in rows):
        raise typer.Exit(Exit.INPUT)
