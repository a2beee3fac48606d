"""`mailgov report`: indicators from ledger and directory, with their definitions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import acting
from mailgov_cli.grammar import Noun
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.reports import Report, Result

app = Noun()

Name = Annotated[str, typer.Argument(help="key of the report", metavar="NAME")]
PeriodText = Annotated[
    str, typer.Option("--period", help="2026, 2026-H2, 2026-Q4, 2026-11, 2026-W47, 2026-11-21")
]
AgencyCode = Annotated[str, typer.Option("--agency", help="code of an agency; its branch is meant")]


@app.command("list", epilog="mailgov report list")
def list_(ctx: typer.Context) -> None:
    """Every report: its key, name and version."""
    from mailgov.reports import REPORTS
    from mailgov.texts import words as texts

    run = runtime(ctx)
    rows = [
        {
            "report": key,
            "name": texts(run.language, f"report.{key}.name"),
            "version": report.definition.version,
            "cuts": list(report.definition.cuts),
        }
        for key, report in REPORTS.items()
    ]
    run.emit("report.list/1", rows, ("report", "name", "version", "cuts"))


@app.command(epilog="mailgov report show active-use")
def show(ctx: typer.Context, name: Name) -> None:
    """One report: what it counts, from what, in which columns."""
    from mailgov.texts import words as texts

    run = runtime(ctx)
    report = _find(name)
    key = report.definition.key
    record = {
        "report": key,
        "name": texts(run.language, f"report.{key}.name"),
        "version": report.definition.version,
        "definition": texts(run.language, f"report.{key}.definition"),
        "columns": [
            texts(run.language, f"report.{key}.{column.key}")
            for column in report.definition.columns
        ],
        "source": texts(run.language, "report.words.source_text"),
        "cuts": list(report.definition.cuts),
    }
    run.emit("report.show/1", [record], tuple(record), single=True)


@app.command(
    "run",
    epilog="""mailgov report run coverage --period 2026-10
    mailgov report run documents --period 2026-Q4 --by category --agency H99
    mailgov report run active-use --period 2026-10 -o thang-10.xlsx""",
)
def run_(
    ctx: typer.Context,
    name: Name,
    period: PeriodText = "",
    agency: AgencyCode = "",
    by: Annotated[
        str, typer.Option("--by", help="what lines stand for: agency, category, rule")
    ] = "",
) -> None:
    """Count a report; the format follows the ending of -o: csv, xlsx, json."""
    from mailgov.clock import local_date, utc_now
    from mailgov.ledger import record
    from mailgov.ledger.events import ReportRun
    from mailgov.reports import run_report
    from mailgov.reports.period import Period

    run = runtime(ctx)
    report = _find(name)
    now = utc_now()
    asked = Period.parse(period) if period else Period.month_of(local_date(now))
    act = run.act()
    agency = agency or acting.only_top(run)
    with run.database.read() as session:
        result = run_report(session, report, asked, agency=agency, by=by or None, now=now)
    with run.database.write() as session:
        event = ReportRun(
            at=now, actor=act.actor, report=report.definition.key, period=asked.key, agency=agency
        )
        record(session, event)
    _write(run, result)


def _write(run: Runtime, result: "Result") -> None:
    from mailgov.reports import render

    ending = run.output.suffix[1:] if run.output else ""
    form: str = run.format or ending
    if form in render.RENDERERS:
        _write_file(run, render.RENDERERS[form](result, run.language))
    elif form in (Format.JSON, Format.JSONL):
        run.emit("report.run/1", [render.as_records(result)], tuple(render.as_records(result)))
    else:
        _write_lines(run, result)


def _write_file(run: Runtime, content: bytes) -> None:
    import sys

    from mailgov.errors import InputError

    if run.output is None or str(run.output) == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        return
    try:
        _replace(run.output, content)
    except OSError as exc:
        raise InputError("file-unwritable", file=run.output, reason=exc.strerror) from exc
    run.say("written", target=run.output)


def _replace(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    new.replace(path)


def _write_lines(run: Runtime, result: "Result") -> None:
    """Lines on stdout, the rest in words beside them."""
    from mailgov.reports import render

    run.say("report", name=render.name(result, run.language), period=render.period_text(result))
    if run.shown_format is Format.TABLE:
        _write_table(run, result)
    else:
        _write_plain(run, result)
    run.say("definition", text=render.definition_text(result, run.language))
    if result.provisional:
        run.say("provisional")


def _write_plain(run: Runtime, result: "Result") -> None:
    """For programs: keys as in JSON, numbers as numbers."""
    from mailgov.reports import render

    record = render.as_records(result)
    rows = [
        {**row, "name": render.line_name(result, line, run.language)}
        for line, row in zip(render.lines(result), (record["total"], *record["rows"]), strict=True)
    ]
    run.emit("report.run/1", rows, tuple(rows[0]))


def _write_table(run: Runtime, result: "Result") -> None:
    from mailgov.reports import render

    titles = render.headings(result, run.language)
    rows: list[dict[str, Any]] = []
    for line in render.lines(result):
        cells = [
            render.value_text(value, run.language, hidden=line.hidden)
            for value in line.values.values()
        ]
        row = [line.key, render.line_name(result, line, run.language), *cells]
        rows.append(dict(zip(titles, row, strict=True)))
    run.emit("report.run/1", rows, titles)


def _find(name: str) -> "Report":
    """The report of that key. Raises NotFound `report-unknown`."""
    from mailgov.errors import NotFound
    from mailgov.reports import REPORTS

    if name not in REPORTS:
        raise NotFound("report-unknown", report=name, known=", ".join(REPORTS))
    return REPORTS[name]
