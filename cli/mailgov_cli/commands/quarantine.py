"""`mailgov quarantine`: mail that the policy holds, and who decides on it."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, DryRun, Limit, Since, Yes, parse_moment
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
    """One message: header fields, rules and recipients; never content."""
    from mailgov.clock import utc_now
    from mailgov.db.models import MessageRow
    from mailgov.holding import acts
    from mailgov.queue import Spool, listing

    run = runtime(ctx)
    with run.database.read() as session:
        entry = listing.show(session, id_)
        body = Spool(run.config.data.path / "spool").open(session.get_one(MessageRow, id_))
        desk = acts.owner_of(session, run.config, entry.agency_code, entry.accepted_at, utc_now())
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
            {key: finding[key] for key in ("code", "action", "where")} for finding in entry.findings
        ],
        "recipients": [
            {"recipient": one.recipient, "state": one.state} for one in entry.recipients
        ],
    }
    run.emit("quarantine.show/1", [record], tuple(record), single=True)


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
    rows = []
    for queue_id, verdict in zip(ids, asyncio.run(_rejudged(run, ids)), strict=True):
        goes = anyway or acts.permits(verdict)
        if goes:
            with run.change(dry_run=dry_run) as session:
                acts.release(session, acts.pick(session, queue_id), verdict, by)
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
    """Take held messages out for good; neither sender nor recipient is told."""
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
            files += acts.remove(session, picked, by)
        rows += [{"queue_id": queue_id, "recipient": one.address} for one in picked]
    spool = Spool(run.config.data.path / "spool")
    for name in [] if dry_run else files:
        spool.remove(name)
    run.emit("quarantine.remove/1", rows, ("queue_id", "recipient"))
    run.say(f"queue-remove{'-dry' if dry_run else ''}", count=len(rows))


@app.command(epilog='mailgov quarantine wrong 0kq3zv7m8hd2v5s1x9ya --reason "tệp ký số hợp lệ"')
def wrong(ctx: typer.Context, ids: Ids, reason: NeededReason) -> None:
    """Report that a rule struck wrongly; nothing happens to the message."""
    from mailgov.holding import acts
    from mailgov.queue.admin import Intervention

    run = runtime(ctx)
    act = run.act(reason)
    by = Intervention(act.actor, act.at, act.reason)
    with run.change(dry_run=False) as session:
        rows = [acts.report_wrong(session, queue_id, by) for queue_id in ids]
    run.emit("quarantine.wrong/1", rows, ("queue_id", "code"))
    run.say("quarantine-wrong", count=len(rows))


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
