"""`mailgov help`: a code or a topic, explained."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mailgov import texts
from mailgov.errors import MailgovError, NotFound
from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.explaining import rule_record
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime

app = Noun(single=True, place=Place.HERE)

TOPICS = ("exit-codes", "formats", "environment", "completion")


@app.command(
    "help",
    epilog="mailgov help legacy-encoding\nmailgov help mailbox-taken\nmailgov help exit-codes",
)
def help_(
    ctx: typer.Context,
    about: Annotated[
        str,
        typer.Argument(
            help="a code, or exit-codes, formats, environment, completion", metavar="CODE"
        ),
    ] = "",
) -> None:
    """Explain the code of an error or rule, or a topic."""
    run = runtime(ctx)
    if not about:
        typer.echo(ctx.find_root().get_help())
        typer.echo("\n" + words.say(run.language, "frame", "topics", topics=", ".join(TOPICS)))
    elif about == "exit-codes":
        rows = [
            {"exit": int(code), "meaning": words.say(run.language, "exit", str(int(code)))}
            for code in Exit
        ]
        run.emit("help.exit-codes/1", rows, ("exit", "meaning"))
    elif about in TOPICS:
        typer.echo(words.find(run.language, "topic", about).strip())
    elif record := _record(run, about):
        run.emit("help/1", [record], tuple(record), single=True)
    else:
        raise NotFound("code-unknown", code=about, topics=", ".join(TOPICS))


def _record(run: Runtime, code: str) -> Mapping[str, Any]:
    """What is known of a code: a rule's entry, or an error's."""
    for_people = run.shown_format is Format.TABLE
    if rule := rule_record(code, run.language, for_people=for_people):
        return rule
    if texts.entry(run.language, f"error.{code}") or words.find(
        run.language, "error", code, "text"
    ):
        text, mend = words.tell(MailgovError(code), run.language)
        return {"code": code, "text": text, "mend": mend}
    return {}
