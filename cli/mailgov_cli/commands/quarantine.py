"""`mailgov quarantine`: mail that the policy holds, and who decides on it."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import acting
from mailgov_cli.exits import Exit, UsageMistake
from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, DryRun, Limit, Since, Yes, parse_moment
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailgov_policies import Verdict

app = Noun()

Ids = Annotated[list[str], typer.Argument(help="queue ids of messages", metavar="ID...")]
NeededReason = Annotated[str, typer.Option("--reason", help="why; kept in the ledger")]

FIELDS = (
    "queue_id",
    "action",
    "code",
    "accepted_at",
    "mail_from",
    "recipients",
    "agency_code",
    "owner",
    "decide_by",
)
REPORT_FIELDS = ("at", "code", "actor", "agency_code", "queue_id", "face", "reason")


@app.command(
    "list",
    epilog="""mailgov quarantine list
    mailgov quarantine list --since 1d --rule encrypted-archive""",
)
def list_(
    ctx: typer.Context,
    since: Since = "",
    rule: Annotated[str, typer.Option("--rule", help="only what this rule decided")] = "",
    limit: Limit = LIMIT,
) -> None:
    """Held messages, oldest first: the rule, the date, the recipients, who decides until when."""
    from mailgov.clock import utc_now
    from mailgov.holding import acts

    run = runtime(ctx)
    now = utc_now()
    moment = parse_moment(since, now)
    with run.database.read() as session:
        held = acts.waiting(session, run.config, now, since=moment, code=rule, limit=limit + 1)
    rows = [{**asdict(one), "recipients": list(one.recipients)} for one in held]
    run.emit("quarantine.list/1", rows[:limit], FIELDS)
    run.tell_of_more(rows, limit)


@app.command(epilog="mailgov quarantine show 0kq3zv7m8hd2v5s1x9ya")
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(help="queue id of the message", metavar="ID")],
) -> None:
    """One message: header fields, recipients, and why it is held; never content."""
    from mailgov.clock import utc_now
    from mailgov.db.models import MessageRow
    from mailgov.holding import acts
    from mailgov.queue import Spool, listing
    from mailgov.texts.explanation import of_stored
    from mailgov_cli.explaining import explained_record, explanations

    run = runtime(ctx)
    with run.database.read() as session:
        entry = listing.show(session, id_)
        body = Spool(run.config.data.path / "spool").open(session.get_one(MessageRow, id_))
        desk = acts.owner_of(
            session, run.config, entry.agency_code, entry.accepted_at, utc_now(), entry.findings
        )
    told = [of_stored(run.language, finding, discreet=True) for finding in entry.findings]
    actions = [str(finding["action"]) for finding in entry.findings]
    record: dict[str, Any] = {
        "queue_id": entry.queue_id,
        "action": entry.action,
        "code": entry.code,
        "accepted_at": entry.accepted_at,
        "direction": entry.direction,
        "mail_from": entry.mail_from,
        "agency_code": entry.agency_code,
        "owner": f"{desk.role} {desk.agency_code}".strip() if desk else "",
        "size_bytes": entry.size_bytes,
        "headers": [] if entry.done_at else [list(pair) for pair in acts.headers(body)],
        "findings": [
            {"action": action, **explained_record(one)}
            for one, action in zip(told, actions, strict=True)
        ],
        "recipients": [
            {"recipient": one.recipient, "state": one.state} for one in entry.recipients
        ],
    }
    for_people = run.shown_format is Format.TABLE and run.output is None
    if for_people:
        record["headers"] = [f"{name}: {value}" for name, value in record["headers"]]
    fields = tuple(name for name in record if not (for_people and name == "findings"))
    run.emit("quarantine.show/1", [record], fields, single=True)
    if for_people:
        lines = explanations(zip(told, actions, strict=True), run.language)
        run.emit_text("".join(f"{line}\n" for line in lines))


@app.command(epilog='mailgov quarantine release 0kq3zv7m8hd2v5s1x9ya --reason "thư mời họp"')
def release(
    ctx: typer.Context,
    ids: Ids,
    reason: NeededReason,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="also what the rules in force now would refuse")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Judge again by the rules in force now, and let go what they would not refuse."""
    from mailgov.holding import acts
    from mailgov.queue.admin import Intervention

    run = runtime(ctx)
    act = run.act(reason)
    by = Intervention(act.actor, act.at, act.reason)
    _check(run, ids)
    if len(ids) > run.config.roles.bulk_release and not dry_run:
        from mailgov.directory.approvals import subject_of

        acting.second_person(run, "bulk-release", subject_of(ids), reason)
    rows = []
    for queue_id, verdict in zip(ids, asyncio.run(_rejudged(run, ids)), strict=True):
        goes = anyway or acts.permits(verdict)
        if goes:
            with run.change(dry_run=dry_run) as session:
                acts.release(session, run.config, acts.pick(session, queue_id), verdict, by)
        rows.append(
            {
                "queue_id": queue_id,
                "state": "released" if goes else "held",
                "action": verdict.action.label,
                "code": verdict.code,
            }
        )
    run.emit("quarantine.release/1", rows, ("queue_id", "state", "action", "code"))
    released = sum(row["state"] == "released" for row in rows)
    run.say(f"quarantine-release{'-dry' if dry_run else ''}", count=released)
    if released == len(rows):
        return Exit.DONE
    run.say("quarantine-kept", count=len(rows) - released)
    return Exit.PARTLY


@app.command(epilog='mailgov quarantine remove 0kq3zv7m8hd2v5s1x9ya --reason "mã độc" --yes')
def remove(
    ctx: typer.Context, ids: Ids, reason: NeededReason, yes: Yes = False, dry_run: DryRun = False
) -> None:
    """Take held messages out for good; a sender of ours is told, with the reason."""
    from mailgov.holding import acts
    from mailgov.queue import Spool
    from mailgov.queue.admin import Intervention

    run = runtime(ctx)
    act = run.act(reason)
    by = Intervention(act.actor, act.at, act.reason)
    count = _check(run, ids)
    if not (dry_run or yes):
        run.ask("sure-remove", count=count)
    rows, files = [], []
    for queue_id in ids:
        with run.change(dry_run=dry_run) as session:
            picked = acts.pick(session, queue_id)
            files += acts.remove(session, run.config, picked, by)
        rows += [{"queue_id": queue_id, "recipient": one.address} for one in picked]
    spool = Spool(run.config.data.path / "spool")
    for name in [] if dry_run else files:
        spool.remove(name)
    run.emit("quarantine.remove/1", rows, ("queue_id", "recipient"))
    run.say(f"queue-remove{'-dry' if dry_run else ''}", count=len(rows))


@app.command(
    epilog="""mailgov quarantine wrong 0kq3zv7m8hd2v5s1x9ya --reason "tệp ký số hợp lệ"
    mailgov quarantine wrong --since 30d"""
)
def wrong(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="queue ids of messages; none: list reports", metavar="[ID...]"),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the ledger")] = "",
    rule: Annotated[str, typer.Option("--rule", help="the rule that was wrong")] = "",
    since: Since = "",
    limit: Limit = LIMIT,
) -> None:
    """Report that a rule struck wrongly, or list such reports; nothing happens to the message."""
    from mailgov.holding import wrong as reports
    from mailgov.queue.admin import Intervention

    run = runtime(ctx)
    if not ids:
        _list_wrong(run, rule, since, limit)
        return
    if not reason:
        raise UsageMistake("wrong-without-reason")
    act = run.act(reason)
    by = Intervention(act.actor, act.at, act.reason)
    rows = []
    with run.change(dry_run=False) as session:
        for queue_id in ids:
            struck = reports.on_message(session, queue_id, rule)
            noted = reports.report(session, run.config, struck, by, face="cli")
            rows.append({"queue_id": queue_id, "code": struck.code, "noted": noted})
    run.emit("quarantine.wrong/1", rows, ("queue_id", "code", "noted"))
    run.say("quarantine-wrong", count=sum(row["noted"] is True for row in rows))


def _list_wrong(run: Runtime, rule: str, since: str, limit: int) -> None:
    from mailgov.clock import utc_now
    from mailgov.holding import wrong as reports

    moment = parse_moment(since, utc_now())
    with run.database.read() as session:
        found = reports.reports(session, since=moment, code=rule, limit=limit + 1)
    rows = [asdict(one) for one in found]
    run.emit("quarantine.wrong-list/1", rows[:limit], REPORT_FIELDS)
    run.tell_of_more(rows, limit)


def _check(run: Runtime, ids: "Sequence[str]") -> int:
    """How many held recipients the ids mean. Raises before anything is done to any of them."""
    from mailgov.holding import acts

    with run.database.read() as session:
        return sum(len(acts.pick(session, queue_id)) for queue_id in ids)


async def _rejudged(run: Runtime, ids: "Sequence[str]") -> "list[Verdict]":
    """What the rules in force now say of each message."""
    from mailgov import logs
    from mailgov.config import Log
    from mailgov.services import build

    logs.set_up(Log(level="info" if run.verbose else "warning"), lasting=False)
    services = build(run.config)
    await services.readers.start()
    try:
        return [(await services.intake.rejudge(queue_id)).verdict for queue_id in ids]
    finally:
        await services.readers.close()
        services.database.close()
