"""`mailgov convert`: files from private Vietnamese encodings to Unicode, always as new files."""

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov import texts
from mailgov_cli import exits, words
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.options import DryRun
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.content.conversion import Conversion

app = Noun(single=True, place=Place.HERE)

FIELDS = ("file", "outcome", "target", "encodings", "changed", "doubtful")
_STDIN = Path("-")
_TOLD = 20  # doubtful places named at the terminal; --json has more


class Source(StrEnum):
    """What text that is not Unicode is in."""

    AUTO = "auto"
    TCVN3 = "tcvn3"
    VN1 = "tcvn5712-vn1"
    VNI = "vni"
    VPS = "vps"
    VISCII = "viscii"
    VIQR = "viqr"
    CP1258 = "cp1258"
    DOUBLE = "utf8-as-cp1252"


@app.command(
    epilog="""mailgov convert danh-sach.csv -o moi/
    mailgov convert *.docx *.xlsx --dry-run
    mailgov convert thong-bao.txt --from tcvn3
    mailgov convert - < cu.docx > moi.docx"""
)
def convert(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="files to convert, or - for standard input", metavar="FILE…"),
    ],
    from_: Annotated[
        Source, typer.Option("--from", help="their encoding; auto finds it for each line")
    ] = Source.AUTO,
    folder: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="folder of the new files", metavar="DIR"),
    ] = None,
    dry_run: DryRun = False,
) -> None:
    """Convert files to Unicode; originals stay. Exit 7 when some, 6 when all are refused."""
    from mailgov.errors import InputError

    run = runtime(ctx)
    if _STDIN in files:
        if len(files) > 1 or run.as_json or folder:
            raise UsageMistake("convert-stdin")
        _filter(run, from_, dry_run=dry_run)
        return
    rows, refused = [], []
    for file in files:
        try:
            rows.append(_converted(run, file, from_, folder, dry_run=dry_run))
        except InputError as error:
            refused.append(error)
    fields = (*FIELDS, "changes", "doubts") if run.as_json else FIELDS
    if rows or run.as_json:
        run.emit("convert/1", rows, fields)
    for row in rows:
        _tell(run, row, dry_run=dry_run)
    for refusal in refused:
        exits.report(refusal, run.language, as_json=run.as_json)
    if refused:
        raise typer.Exit(Exit.PARTLY if rows else Exit.INPUT)


def _filter(run: Runtime, source: Source, *, dry_run: bool) -> None:
    """Standard input to standard output; what needs no conversion passes as it is.

    Raises InputError when it is refused, and then nothing is written.
    """
    from mailgov.content.convert import MAX_BYTES

    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    conversion = _conversion(run, _STDIN, data, source)
    _tell(run, _row(_STDIN, _STDIN, conversion), dry_run=dry_run)
    if not dry_run:
        sys.stdout.buffer.write(conversion.data or data)
        sys.stdout.buffer.flush()


def _converted(
    run: Runtime, file: Path, source: Source, folder: Path | None, *, dry_run: bool
) -> dict[str, Any]:
    """One file. Raises InputError when it is refused, Unavailable when no reader starts."""
    from mailgov.content.convert import MAX_BYTES
    from mailgov.errors import InputError

    try:
        if file.stat().st_size > MAX_BYTES:
            raise InputError("convert-unreadable", file=file, why="larger than allowed")
        data = file.read_bytes()
    except OSError as exc:
        raise InputError("file-unreadable", file=file, reason=exc.strerror) from exc
    target = folder / file.name if folder else file.with_stem(f"{file.stem}.unicode")
    conversion = _conversion(run, file, data, source)
    if conversion.outcome == "converted":
        if target.exists():
            raise InputError("convert-exists", file=file, target=target)
        if not dry_run:
            _write_new(target, conversion.data, file)
    return _row(file, target, conversion)


def _conversion(run: Runtime, file: Path, data: bytes, source: Source) -> "Conversion":
    """What became of the bytes. Raises InputError when they are refused."""
    from mailgov.content.convert import MAX_BYTES
    from mailgov.content.runs import Unreadable
    from mailgov.errors import InputError
    from mailgov.readers.converting import convert_apart

    if len(data) > MAX_BYTES:
        raise InputError("convert-unreadable", file=file, why="larger than allowed")
    try:
        conversion = convert_apart(data, file.name, run.config.readers, given=_ENCODINGS[source])
    except Unreadable as exc:
        raise InputError("convert-unreadable", file=file, why=str(exc.args[0])) from exc
    if conversion.outcome == "refused":
        raise InputError(f"convert-{conversion.why}", file=file)
    return conversion


# The reader takes names of facts; None finds the encoding out.
_ENCODINGS: dict[Source, Any] = {
    **{source: source.value for source in Source},
    Source.AUTO: None,
    Source.VNI: "vni-win",
}


def _write_new(target: Path, data: bytes, file: Path) -> None:
    """Write a file that is not there yet; all of it or nothing. Raises InputError."""
    from mailgov.errors import InputError

    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        try:
            os.link(part, target)  # fails where something stands already
        finally:
            part.unlink()
    except FileExistsError as exc:
        raise InputError("convert-exists", file=file, target=target) from exc
    except OSError as exc:
        raise InputError("file-unwritable", file=target, reason=exc.strerror) from exc


def _row(file: Path, target: Path, conversion: "Conversion") -> dict[str, Any]:
    return {
        "file": str(file),
        "outcome": conversion.outcome,
        "target": str(target) if conversion.outcome == "converted" else "",
        "encodings": list(conversion.encodings),
        "changed": conversion.changed,
        "doubtful": conversion.doubtful,
        "changes": [change._asdict() for change in conversion.changes],
        "doubts": [doubt._asdict() for doubt in conversion.doubts],
    }


def _tell(run: Runtime, row: dict[str, Any], *, dry_run: bool) -> None:
    """What became of a file, and where a person should look."""
    if row["outcome"] == "unicode":
        run.say("convert-nothing", file=row["file"])
    else:
        run.say("convert-dry" if dry_run else "convert", **row)
    for doubt in row["doubts"][:_TOLD]:
        why = words.say(run.language, "doubt", doubt["why"])
        run.say(
            "convert-doubt",
            place=_place(run, row["file"], doubt["place"]),
            why=why,
            text=doubt["text"],
        )
    if row["doubtful"] > _TOLD:
        run.say("convert-more", count=row["doubtful"] - _TOLD)


def _place(run: Runtime, file: str, place: str) -> str:
    """A place in words; those of a message speak of it, all others lie within the file."""
    if place.startswith(("subject", "body", "header ", "part ", "file name ")):
        return texts.place(run.language, place)
    return texts.place(run.language, f"part 1 {place}", file)
