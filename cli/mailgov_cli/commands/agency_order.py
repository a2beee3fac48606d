"""`mailgov agency move|merge|close|stragglers`: a new order of agencies, from a day on."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import acting
from mailgov_cli.options import DryRun, Reason, Since, Yes, parse_moment
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.directory.provisioning import Change
    from mailgov.directory.reorganisation import Merger, MergerPlan
    from mailgov_cli.acts import Asked

_SHOWN = 40  # mailboxes without a clash that a terminal shows
_DAYS = ["%Y-%m-%d", "%d/%m/%Y"]

Code = Annotated[str, typer.Argument(help="official code, such as H99.02", metavar="CODE")]
On = Annotated[
    datetime, typer.Option("--on", formats=_DAYS, help="first day of the new order: 2026-12-01")
]
Confirm = Annotated[
    str, typer.Option("--confirm", help="the code once more, instead of typing it", metavar="CODE")
]


def move(
    ctx: typer.Context,
    code: Code,
    to: Annotated[str, typer.Option("--to", help="code of the agency above", metavar="CODE")],
    on: On,
    reason: Reason = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Put an agency, with all that is below it, under another one from a day on."""
    from mailgov.access import branch
    from mailgov.directory.reorganisation.affected import affected
    from mailgov.lifecycle.agencies import MOVE, check_move
    from mailgov.lifecycle.performers import PERFORMERS
    from mailgov_cli import acts

    run = runtime(ctx)
    if not (yes or dry_run):
        run.ask("sure-agency-move", code=code, to=to, on=on.strftime("%d/%m/%Y"))
    with run.change(dry_run=dry_run) as session:
        act = run.act(reason)
        concerned = affected(session, branch(session, code), to)
        check_move(session, code, to)
        asked = acts.Asked(
            kind=MOVE,
            noun="agency",
            verb="edit",
            subject=code,
            agency_code=code,
            on=on.date(),
            arguments={"to": to},
        )
        change = acts.carry_out(session, asked, act, PERFORMERS)
        change.details.update(concerned)
    acts.show(run, "agency.move/1", change, dry_run=dry_run)
    if not change.nothing:
        run.say("agency-affected", **{**concerned, "strange": len(concerned["strange"])})


def merge(
    ctx: typer.Context,
    codes: Annotated[list[str], typer.Argument(help="agencies that end", metavar="CODE…")],
    into: Annotated[str, typer.Option("--into", help="the agency that takes over", metavar="CODE")],
    on: On,
    addresses: Annotated[
        str,
        typer.Option(
            "--addresses", help="keep; alias: new ones, old ones lead there; rename: new ones only"
        ),
    ] = "keep",
    domain: Annotated[
        list[str] | None,
        typer.Option(
            "--domain", help="old and new domain, also for those below it", metavar="OLD=NEW"
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until", formats=_DAYS, help="last day of the old addresses; default: a year on"
        ),
    ] = None,
    confirm: Confirm = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Let agencies go into another one: the plan first, then, on its day, so it is."""
    from mailgov.directory.reorganisation import merger

    asked = merger(
        tuple(codes),
        into,
        on.date(),
        addresses=addresses,
        domains=tuple(domain or ()),
        alias_until=until.date() if until else None,
    )
    _reorganise(runtime(ctx), "agency.merge/1", asked, reason, confirm, dry_run=dry_run)


def close(
    ctx: typer.Context,
    code: Code,
    on: Annotated[datetime, typer.Option("--on", formats=_DAYS, help="its last day: 2026-12-31")],
    mailboxes_to: Annotated[
        str,
        typer.Option(
            "--mailboxes-to", help="agency that gets its mailboxes and units", metavar="CODE"
        ),
    ],
    confirm: Confirm = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """End an agency; its mailboxes go on in another one under their addresses."""
    from mailgov.directory.reorganisation import closure

    asked = closure(code, mailboxes_to, on.date())
    _reorganise(runtime(ctx), "agency.close/1", asked, reason, confirm, dry_run=dry_run)


def _reorganise(
    run: Runtime, schema: str, merger: "Merger", reason: str, confirm: str, *, dry_run: bool
) -> None:
    from mailgov.clock import local_date
    from mailgov.directory.reorganisation import is_done, survey
    from mailgov.lifecycle.agencies import check_merger
    from mailgov.lifecycle.performers import PERFORMERS
    from mailgov_cli import acts

    act = run.act(reason)
    with run.database.read() as session:
        if is_done(session, merger):
            codes = ", ".join(merger.sources)
            run.emit(schema, [], ())
            run.say("nothing", noun=run.noun("agency"), target=codes)
            return
        plan = survey(session, merger, local_date(act.at))
        _tell(run, plan)
        rows = list(_rows(run, plan))
    if not dry_run:
        name = merger.sources[0] if merger.closing else merger.into
        run.require_name(
            name,
            confirm,
            "sure-agency-close" if merger.closing else "sure-agency-merge",
            name=name,
            codes=", ".join(merger.sources),
            on=merger.on.strftime("%d/%m/%Y"),
        )
    with run.change(dry_run=dry_run) as session:
        check_merger(session, act, merger)
        change = acts.carry_out(session, _asked(merger), act, PERFORMERS)
    _emit(run, schema, plan, change, rows, dry_run=dry_run)


def _asked(merger: "Merger") -> "Asked":
    from mailgov.lifecycle.agencies import CLOSE, MERGE
    from mailgov_cli.acts import Asked

    return Asked(
        kind=CLOSE if merger.closing else MERGE,
        noun="agency",
        verb="close" if merger.closing else "merge",
        subject=merger.sources[0],
        agency_code=merger.into,
        on=merger.on,
        arguments=merger.arguments(),
    )


def _rows(run: Runtime, plan: "MergerPlan") -> Iterator[dict[str, Any]]:
    """Everything for programs and files; on a terminal not every mailbox that has its name."""
    from mailgov.directory.reorganisation import told

    plain = 0
    for row in told(plan):
        ordinary = row["what"] in ("person", "post", "shared") and not row["clash"]
        plain += ordinary
        if not ordinary or run.shown_format is not Format.TABLE or plain <= _SHOWN:
            yield row
    if run.shown_format is Format.TABLE and plain > _SHOWN:
        run.say("import-more", sign="=", count=plain - _SHOWN)


def _tell(run: Runtime, plan: "MergerPlan") -> None:
    from mailgov.directory.reorganisation import counts

    run.say("agency-plan", into=plan.into.code, **counts(plan))
    if plan.clashes:
        run.say("agency-clashes", count=len(plan.clashes))


def _emit(
    run: Runtime,
    schema: str,
    plan: "MergerPlan",
    change: "Change",
    rows: list[dict[str, Any]],
    *,
    dry_run: bool,
) -> None:
    from mailgov.directory.reorganisation import counts, missing_keys
    from mailgov.directory.reorganisation.telling import FIELDS

    keys = missing_keys(plan)
    merger = plan.merger
    if run.as_json:
        record = {
            "into": merger.into,
            "sources": list(merger.sources),
            "on": merger.on,
            "alias_until": merger.alias_until,
            "dry_run": dry_run,
            "state": change.details["state"],
            "plan": None if dry_run else change.details["plan"],
            "counts": counts(plan),
            "missing_keys": keys,
            "rows": rows,
        }
        run.emit(schema, [record], tuple(record), single=True)
    else:
        run.emit(schema, rows, FIELDS)
    day = merger.on.strftime("%d/%m/%Y")
    if dry_run:
        run.say("dry-run", noun=run.noun("agency"), target=", ".join(merger.sources))
    elif change.details["state"] == "planned":
        run.say("planned", id=change.details["plan"], on=day)
        run.next(f"mailgov plan cancel {change.details['plan']}")
    else:
        run.say("agency-merged", codes=", ".join(merger.sources), into=merger.into)
    for name in keys:
        run.say("agency-key", domain=name)
        run.next(f"mailgov dkim generate {name}")
        run.next(f"mailgov dns records {name} --zone")


def stragglers(
    ctx: typer.Context,
    code: Code,
    since: Since = "30d",
    names: Annotated[
        bool, typer.Option("--names", help="addresses instead of domains; needs --reason")
    ] = False,
    reason: Reason = "",
) -> None:
    """Who still writes to the old addresses of an agency, and who still writes from them."""
    from mailgov.directory.reorganisation.stragglers import FIELDS, stragglers

    run = runtime(ctx)
    act = run.act(reason)
    begin = parse_moment(since, act.at) or act.at - timedelta(days=30)
    if names and reason.strip():
        from mailgov.directory.provisioning import get_agency

        with run.database.read() as session:
            get_agency(session, code)
        acting.second_person(run, "open-names", {"report": "stragglers", "agency": code}, reason)
    with run.database.write() as session:
        rows = stragglers(session, act, code, begin, names=names)
    run.emit("agency.stragglers/1", rows, FIELDS)
