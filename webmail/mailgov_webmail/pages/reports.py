"""Numbers for those who may see them: overview, one report with its definition, files.

Who holds a role sees its branch of the agency tree; everybody else sees the own unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import urlencode

from sqlmodel import Session
from starlette.responses import Response

from mailgov import access, ledger
from mailgov.clock import local_date
from mailgov.errors import NotAllowed, NotFound
from mailgov.ledger.events import ReportRun
from mailgov.reports import REPORTS, Report, Result, render, run_report
from mailgov.reports.chart import ranked_bars
from mailgov.reports.engine import Line
from mailgov.reports.period import Period
from mailgov.reports.tree import Tree, Unit
from mailgov_webmail.pages.frame import framed_page
from mailgov_webmail.visit import Visit

TARGETS = {"coverage": 95, "active-use": 80}  # percent; green from here on
_MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for, checked against what the visitor may see."""

    period: Period
    agency: str
    by: str
    units: Sequence[Unit]  # that the visitor may choose
    trail: Sequence[Unit]  # from the top of what the visitor may see to this unit
    everything: bool  # whether all agencies together may be asked for

    def link(self, path: str, **changes: str) -> str:
        """The same question elsewhere, or with something changed."""
        values = {"period": self.period.key, "agency": self.agency, "by": self.by, **changes}
        return f"{path}?{urlencode({key: value for key, value in values.items() if value})}"


@dataclass(frozen=True, slots=True)
class Card:
    """A headline number of the overview."""

    key: str
    name: str
    value: str
    detail: str
    before: str
    definition: str


async def overview(visit: Visit) -> Response:
    """Four headline numbers of a unit, each with the period before."""
    asked = await _asked(visit)

    def work(session: Session) -> list[tuple[Result, Result]]:
        return [
            (
                run_report(session, report, asked.period, agency=asked.agency, now=visit.now),
                run_report(
                    session, report, asked.period.previous, agency=asked.agency, now=visit.now
                ),
            )
            for report in REPORTS.values()
        ]

    pairs = await visit.services.database.query(work)
    return await framed_page(
        visit,
        "reports.html",
        asked=asked,
        periods=_periods(visit, asked.period),
        cards=[_card(visit, now, before) for now, before in pairs],
        provisional=any(now.provisional for now, _ in pairs),
    )


async def show(visit: Visit) -> Response:
    """One report: finding, chart, table, definition, files."""
    asked = await _asked(visit)
    result = await _run(visit, asked)
    first, _, *columns = render.headings(result, visit.language)
    return await framed_page(
        visit,
        "report.html",
        asked=asked,
        periods=_periods(visit, asked.period),
        result=result,
        key=result.definition.key,
        name=render.name(result, visit.language),
        chart=ranked_bars(result, visit.language, target=TARGETS.get(result.definition.key)),
        headings=[first, *columns],
        caption=_caption(visit, result),
        lines=[_cells(visit, asked, result, line) for line in render.lines(result)],
        definition=render.definition_text(result, visit.language),
        finding=_finding(visit, result),
        made_at=render.made_at_text(result),
    )


async def file(visit: Visit) -> Response:
    """The same report as a file: csv or xlsx."""
    kind = visit.request.path_params["kind"]
    if kind not in render.RENDERERS:
        raise NotFound("page-missing")
    asked = await _asked(visit)
    result = await _run(visit, asked)
    content = render.RENDERERS[kind](result, visit.language)
    name = "-".join(
        part for part in (result.definition.key, asked.agency, asked.period.key) if part
    )
    return Response(
        content,
        media_type=_MEDIA_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{name}.{kind}"'},
    )


async def _run(visit: Visit, asked: Asked) -> Result:
    """Count, and note in the ledger who asked."""
    report = _report(visit.request.path_params["report"])

    def work(session: Session) -> Result:
        return run_report(
            session,
            report,
            asked.period,
            agency=asked.agency,
            by=asked.by or None,
            now=visit.now,
        )

    result = await visit.services.database.query(work)
    event = ReportRun(
        at=visit.now,
        actor=visit.account.address,
        report=result.definition.key,
        period=asked.period.key,
        agency=asked.agency,
    )
    await visit.services.database.submit(lambda session: ledger.record(session, event))
    return result


def _report(key: str) -> Report:
    if key not in REPORTS:
        raise NotFound("report-unknown", report=key, known=", ".join(REPORTS))
    return REPORTS[key]


async def _asked(visit: Visit) -> Asked:
    """Read the address. Raises InputError `period-not-valid`, NotAllowed `not-allowed`."""
    today = local_date(visit.now)
    period = _period(visit.query("period"), today)
    agency, by = visit.query("agency"), visit.query("by")

    def work(session: Session) -> Asked:
        scope = access.scope(session, visit.account.roles, "report")
        tree = Tree.read(session)
        visible = [
            unit
            for unit in tree.units.values()
            if unit.code in scope or unit.code == visit.account.agency_code
        ]
        chosen = agency
        if not chosen and not scope.everything:
            chosen = _top_of(visible)
        if chosen and chosen not in {unit.code for unit in visible}:
            raise NotAllowed("not-allowed", act="report", agency=chosen)
        trail = _trail(tree, visible, chosen)
        return Asked(period, chosen, by, visible, trail, scope.everything)

    return await visit.services.database.query(work)


def _period(text: str, today: date) -> Period:
    return Period.parse(text) if text else Period.month_of(today)


def _top_of(visible: Sequence[Unit]) -> str:
    """The highest unit that the visitor may see."""
    codes = {unit.code for unit in visible}
    return next((unit.code for unit in visible if unit.parent not in codes), "")


def _trail(tree: Tree, visible: Sequence[Unit], code: str) -> list[Unit]:
    codes = {unit.code for unit in visible}
    trail: list[Unit] = []
    while code in codes:
        trail.insert(0, tree.units[code])
        code = tree.units[code].parent
    return trail


def _periods(visit: Visit, chosen: Period) -> list[tuple[str, str]]:
    """Choices of the filter: twelve months, four quarters, two years, and what the address names."""
    today = local_date(visit.now)
    keys: list[str] = []
    month = Period.month_of(today)
    for _ in range(12):
        keys.append(month.key)
        month = month.previous
    quarter = Period.parse(f"{today:%Y}-Q{(today.month + 2) // 3}")
    for _ in range(4):
        keys.append(quarter.key)
        quarter = quarter.previous
    keys += [f"{today:%Y}", f"{today - timedelta(366):%Y}"]
    if chosen.key not in keys:
        keys.insert(0, chosen.key)
    return [(key, _period_name(visit, key)) for key in keys]


def _period_name(visit: Visit, key: str) -> str:
    year, _, rest = key.partition("-")
    if not rest:
        return visit.words("reports.year", year=year)
    if rest.startswith("Q"):
        return visit.words("reports.quarter", quarter=rest[1:], year=year)
    if len(rest) == 2 and rest.isdigit():
        return visit.words("reports.month", month=rest, year=year)
    return key


def _card(visit: Visit, now: Result, before: Result) -> Card:
    definition = now.definition
    headline = next(c for c in definition.columns if c.key == definition.headline)
    detail = ""
    if headline.kind == "rate" and not now.total.hidden:
        parts = [now.total.values[headline.numerator], now.total.values[headline.denominator]]
        detail = " / ".join(render.value_text(part, visit.language) for part in parts)
    return Card(
        key=definition.key,
        name=render.name(now, visit.language),
        value=_headline(visit, now),
        detail=detail,
        before=_headline(visit, before),
        definition=render.definition_text(now, visit.language),
    )


def _headline(visit: Visit, result: Result) -> str:
    total = result.total
    value = total.values[result.definition.headline]
    return render.value_text(value, visit.language, hidden=total.hidden)


@dataclass(frozen=True, slots=True)
class TableLine:
    """A line of the table, ready to be shown."""

    name: str
    link: str  # to the unit's own page; empty where there is none below
    cells: Sequence[str]
    is_total: bool


def _cells(visit: Visit, asked: Asked, result: Result, line: Line) -> TableLine:
    is_total = line is result.total
    own = result.by == "agency" and line.key != asked.agency and not is_total
    return TableLine(
        name=render.line_name(result, line, visit.language),
        link=asked.link(f"/reports/{result.definition.key}", agency=line.key) if own else "",
        cells=[
            render.value_text(value, visit.language, hidden=line.hidden)
            for value in line.values.values()
        ],
        is_total=is_total,
    )


def _caption(visit: Visit, result: Result) -> str:
    """What the table is about, also where the filters are not printed."""
    unit = result.unit.name_vi if result.unit else visit.words("reports.everything")
    period = _period_name(visit, result.period.key)
    return " · ".join((render.name(result, visit.language), unit, period))


def _finding(visit: Visit, result: Result) -> str:
    """The result in one sentence."""
    period = _period_name(visit, result.period.key)
    definition = result.definition
    headline = next(c for c in definition.columns if c.key == definition.headline)
    value = render.value_text(result.total.values[headline.key], visit.language)
    if headline.kind != "rate":
        name = render.column_title(result, headline, visit.language)
        return visit.words("reports.finding-count", name=name, value=value, period=period)
    if result.total.hidden:
        return visit.words("reports.finding-hidden", period=period)
    if result.total.values[headline.key] is None:
        return visit.words("reports.finding-none", period=period)
    return visit.words(
        "reports.finding-rate",
        value=value.replace(" %", "\N{NO-BREAK SPACE}%"),
        part=render.value_text(result.total.values[headline.numerator], visit.language),
        whole=render.value_text(result.total.values[headline.denominator], visit.language),
        period=period,
    )
