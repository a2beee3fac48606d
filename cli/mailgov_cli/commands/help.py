"""`mailgov help`: a code or a topic, explained."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from mailgov import texts
from mailgov.errors import MailgovError, NotFound
from mailgov.texts import Language
from mailgov_cli import words
from mailgov_cli.exits import Exit
from mailgov_cli.explaining import rule_record
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime

app = Noun(single=True, place=Place.HERE)

TOPICS = ("exit-codes", "formats", "environment", "import-file", "completion")
WITH_MORE = ("schema", "man")


@app.command(
    "help",
    epilog="""mailgov help legacy-encoding
    mailgov help mailbox-taken
    mailgov help mailbox import
    mailgov help exit-codes
    mailgov help schema mailbox.list
    mailgov help man -o /usr/local/share/man""",
)
def help_(
    ctx: typer.Context,
    about: Annotated[
        str,
        typer.Argument(
            help="a code, a command, or exit-codes, formats, environment, import-file, completion, schema, man",
            metavar="CODE",
        ),
    ] = "",
    name: Annotated[
        list[str] | None,
        typer.Argument(help="verb of the command, or name of the schema", metavar="NAME"),
    ] = None,
) -> None:
    """Explain the code of an error or rule, a command or a topic."""
    run = runtime(ctx)
    if not about:
        typer.echo(ctx.find_root().get_help())
        topics = ", ".join((*TOPICS, *WITH_MORE))
        typer.echo("\n" + words.say(run.language, "frame", "topics", topics=topics))
    elif about == "exit-codes":
        rows = [
            {"exit": int(code), "meaning": words.say(run.language, "exit", str(int(code)))}
            for code in Exit
        ]
        run.emit("help.exit-codes/1", rows, ("exit", "meaning"))
    elif about == "schema":
        _schema(run, (name or [""])[0])
    elif about == "man":
        _manual(ctx, run)
    elif about in TOPICS:
        run.emit_text(_topic(run, about) + "\n")
    elif record := _record(run, about):
        run.emit("help/1", [record], tuple(record), single=True)
    elif command := _command(ctx, [about, *(name or ())]):
        typer.echo(command)
    else:
        raise NotFound("code-unknown", code=about, topics=", ".join((*TOPICS, *WITH_MORE)))


def _topic(run: Runtime, about: str) -> str:
    text = words.find(run.language, "topic", about).strip()
    if about == "import-file":
        text = texts.fill(text, {"columns": _columns(run)})
    return text


def _columns(run: Runtime) -> str:
    """What a staff list may hold: the headings of this language first, then what each must be."""
    from mailgov.bulk.staff import FIELDS

    lines = []
    for field in FIELDS:
        note = words.say(run.language, "sheet-note", field.name)
        lines.append(f"  {field.headings[0]} / {field.name}: {note}")
        if others := ", ".join(field.headings[1:]):
            lines.append(f"      {others}")
    return "\n".join(lines)


def _schema(run: Runtime, name: str) -> None:
    """All schemas, or one as it is."""
    import json

    from mailgov_cli import schemas

    if not name:
        rows = [{"schema": schema} for schema in schemas.names()]
        run.emit("help.schemas/1", rows, ("schema",))
        return
    schema = schemas.load(name if "/" in name else f"{name}/1")
    if schema is None:
        raise NotFound("schema-unpublished", schema=name)
    run.emit_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n")


def _manual(ctx: typer.Context, run: Runtime) -> None:
    """Write the manual pages below the folder of `-o`: man1/ and vi/man1/."""
    from mailgov.errors import InputError
    from mailgov_cli.app import NOUNS
    from mailgov_cli.manual import pages

    folder, run.output = run.output, None
    if folder is None or str(folder) == "-":
        raise InputError("output-folder-missing")
    rows = []
    places: tuple[tuple[Language, str], ...] = (("en", "man1"), ("vi", "vi/man1"))
    for language, below in places:
        for name, page in pages(ctx.find_root().command, NOUNS, language).items():
            file = folder / below / name
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(page, encoding="utf-8")
            except OSError as exc:
                raise InputError("file-unwritable", file=file, reason=exc.strerror) from exc
            rows.append({"file": str(file), "language": language})
    run.emit("help.man/1", rows, ("file", "language"))


def _command(ctx: typer.Context, path: list[str]) -> str:
    """The help of a command; empty when there is none of that name."""
    from typer._click import Context
    from typer.core import TyperGroup

    inner = ctx.find_root()
    for name in path:
        command = inner.command
        below = command.get_command(inner, name) if isinstance(command, TyperGroup) else None
        if below is None:
            return ""
        inner = Context(below, parent=inner, info_name=name)
    return inner.get_help()


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
