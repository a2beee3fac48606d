"""`mailgov queue`: mail on its way."""

from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mailgov_cli import acting
from mailgov_cli.exits import UsageMistake
from mailgov_cli.grammar import Noun
from mailgov_cli.options import LIMIT, DryRun, Limit, Reason, Yes, parse_moment
from mailgov_cli.progress import progress
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from mailgov.queue.admin import Pick

app = Noun()

Ids = Annotated[list[str] | None, typer.Argument(help="queue ids of messages", metavar="ID")]
To = Annotated[str, typer.Option("--to", help="only to this domain; `mailbox` is our own ones")]
Older = Annotated[str, typer.Option("--older", help="only what waits longer: 30m, 1h, 2d")]
Reply = Annotated[str, typer.Option("--reply", help="only where the last reply has these words")]
From = Annotated[
    str, typer.Option("--from", help="only from this sender, or `@domain`; `<>`: our own notices")
]
Agency = Annotated[str, typer.Option("--agency", help="only mail of this agency, by its code")]
State = Annotated[
    str, typer.Option("--state", help="queued, held, or what holds it: corrupt, poison")
]
NeededReason = Annotated[str, typer.Option("--reason", help="why; kept in the ledger")]

FIELDS = (
    "queue_id",
    "mail_from",
    "recipient",
    "destination",
    "state",
    "attempts",
    "queued_at",
    "next_attempt_at",
    "last_reply",
    "message_state",
    "priority",
)


@app.command(
    "list",
    epilog="""mailgov queue list
    mailgov queue list --to tinhmau.gov.vn --older 1h --format jsonl""",
)
def list_(
    ctx: typer.Context,
    to: To = "",
    older: Older = "",
    reply: Reply = "",
    sender: From = "",
    agency: Agency = "",
    state: State = "",
    limit: Limit = LIMIT,
) -> None:
    """Recipients that wait or are held, oldest message first."""
    from mailgov.queue import listing

    run = runtime(ctx)
    if state not in ("", "queued", "held", "corrupt", "poison"):
        raise UsageMistake("queue-state", state=state)
    what = _pick(run, None, to, older, reply, sender, agency)
    with run.database.read() as session:
        entries = listing.waiting(session, what, state=state)
        rows = [asdict(entry) for entry in islice(entries, limit + 1)]
    run.emit("queue.list/1", rows[:limit], FIELDS)
    run.tell_of_more(rows, limit)


@app.command(epilog="mailgov queue show 0kq3zv7m8hd2v5s1x9ya")
def show(
    ctx: typer.Context,
    id_: Annotated[str, typer.Argument(help="queue id of the message", metavar="ID")],
) -> None:
    """One message: envelope, verdict, each recipient; never content."""
    from mailgov.queue import listing

    run = runtime(ctx)
    with run.database.read() as session:
        record = asdict(listing.show(session, id_))
    # Evidence quotes the message; whoever looks after the queue need not read it.
    record["findings"] = [
        {key: finding[key] for key in ("code", "action", "where")} for finding in record["findings"]
    ]
    record["recipients"] = [
        {key: entry[key] for key in FIELDS[2:]} | {"done_at": entry["done_at"]}
        for entry in record["recipients"]
    ]
    run.emit("queue.show/1", [record], tuple(record), single=True)


@app.command(epilog="mailgov queue stats")
def stats(ctx: typer.Context) -> None:
    """What waits for each destination, the longest queue first."""
    from mailgov.queue import admin

    run = runtime(ctx)
    with run.database.read() as session:
        rows = [asdict(row) for row in admin.stats(session)]
    run.emit("queue.stats/1", rows, ("destination", "queued", "held", "oldest", "next_attempt_at"))


@app.command(
    epilog="""mailgov queue retry 0kq3zv7m8hd2v5s1x9ya
    mailgov queue retry --to tinhmau.gov.vn"""
)
def retry(
    ctx: typer.Context,
    ids: Ids = None,
    to: To = "",
    older: Older = "",
    reply: Reply = "",
    sender: From = "",
    agency: Agency = "",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make the next attempt due at once."""
    from mailgov.queue import admin

    run = runtime(ctx)
    what = _pick(run, ids, to, older, reply, sender, agency)
    _intervene(run, "retry", admin.retry, what, reason, dry_run=dry_run)


@app.command(epilog="mailgov queue flush")
def flush(ctx: typer.Context, reason: Reason = "", dry_run: DryRun = False) -> None:
    """Make the next attempt of everything that waits due at once."""
    from mailgov.queue import admin

    everything = admin.Pick()
    _intervene(runtime(ctx), "retry", admin.retry, everything, reason, dry_run=dry_run, every=True)


@app.command(epilog='mailgov queue hold 0kq3zv7m8hd2v5s1x9ya --reason "chờ xác minh"')
def hold(
    ctx: typer.Context,
    reason: NeededReason,
    ids: Ids = None,
    to: To = "",
    older: Older = "",
    reply: Reply = "",
    sender: From = "",
    agency: Agency = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Keep waiting mail back until it is released."""
    from mailgov.queue import admin

    run = runtime(ctx)
    what = _pick(run, ids, to, older, reply, sender, agency)
    _intervene(run, "hold", admin.hold, what, reason, dry_run=dry_run, consent=yes or bool(ids))


@app.command(epilog='mailgov queue release 0kq3zv7m8hd2v5s1x9ya --reason "thư mời họp"')
def release(
    ctx: typer.Context,
    reason: NeededReason,
    ids: Ids = None,
    to: To = "",
    older: Older = "",
    reply: Reply = "",
    sender: From = "",
    agency: Agency = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Let go what an administrator held; what the policy holds (see quarantine) and corrupt mail stay."""
    from mailgov.queue import admin

    run = runtime(ctx)
    what = _pick(run, ids, to, older, reply, sender, agency)
    if not dry_run:
        filters = {"to": to, "older": older, "reply": reply, "from": sender, "agency": agency}
        _second_person(run, what, reason, {key: text for key, text in filters.items() if text})
    _intervene(
        run, "release", admin.release, what, reason, dry_run=dry_run, consent=yes or bool(ids)
    )


@app.command(epilog='mailgov queue remove 0kq3zv7m8hd2v5s1x9ya --reason "gửi nhầm" --yes')
def remove(
    ctx: typer.Context,
    reason: NeededReason,
    ids: Ids = None,
    to: To = "",
    older: Older = "",
    reply: Reply = "",
    sender: From = "",
    agency: Agency = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take mail out of the queue for good; neither sender nor recipient is told."""
    from mailgov.queue import Spool, admin

    run = runtime(ctx)
    what = _pick(run, ids, to, older, reply, sender, agency)
    files: list[str] = []

    def take_out(*args: Any) -> None:
        files.extend(admin.remove(*args))

    _intervene(run, "remove", take_out, what, reason, dry_run=dry_run, consent=yes)
    spool = Spool(run.config.data.path / "spool")
    for name in [] if dry_run else files:
        spool.remove(name)


def _second_person(run: Runtime, what: "Pick", reason: str, filters: dict[str, str]) -> None:
    """More than one person may release at once needs another's yes, for these ids or filters."""
    from mailgov.directory.approvals import subject_of
    from mailgov.queue import admin

    if what == admin.Pick():
        raise UsageMistake("queue-of-what")
    with run.database.read() as session:
        concerned = admin.count(session, what, "release", run.act().at)
    if concerned > run.config.roles.bulk_release:
        subject = {**filters, **(subject_of(what.queue_ids) if what.queue_ids else {})}
        acting.second_person(run, "bulk-release", subject, reason)


def _pick(
    run: Runtime,
    ids: list[str] | None,
    to: str,
    older: str,
    reply: str,
    sender: str,
    agency: str,
) -> "Pick":
    """Which recipients the options mean. Raises NotFound `queue-id-unknown`."""
    from mailgov.clock import utc_now
    from mailgov.queue import listing
    from mailgov.queue.admin import Pick

    for queue_id in ids or ():
        with run.database.read() as session:
            listing.show(session, queue_id)
    return Pick(tuple(ids or ()), to.lower(), parse_moment(older, utc_now()), reply, sender, agency)


def _intervene(
    run: Runtime,
    verb: str,
    act: Callable[..., None],
    what: "Pick",
    reason: str,
    *,
    dry_run: bool,
    consent: bool = True,
    every: bool = False,
) -> None:
    """Do it in batches, each a transaction of its own; print whom it concerns.

    Without `consent` the person is asked first, and told how many recipients it concerns. Without
    a filter it is a mistake, unless `every` says that all mail is meant.
    """
    from mailgov.queue.admin import Intervention, Pick, count, pick

    if what == Pick() and not every:
        raise UsageMistake("queue-of-what")
    by = run.act(reason)
    if not (dry_run or consent):
        with run.database.read() as session:
            concerned = count(session, what, verb, by.at)
        run.ask(f"sure-{verb}", count=concerned)
    intervention = Intervention(by.actor, by.at, by.reason)
    rows: list[dict[str, str]] = []
    after = 0
    with progress(run, 0) as told:
        while True:
            with run.change(dry_run=dry_run) as session:
                batch = pick(session, what, verb, by.at, after=after)
                if batch:
                    act(session, batch, intervention)
            if not batch:
                break
            after = batch[-1].recipient_id
            rows += [{"queue_id": one.queue_id, "recipient": one.address} for one in batch]
            told(len(batch))
    run.emit(f"queue.{verb}/1", rows, ("queue_id", "recipient"))
    run.say(f"queue-{verb}{'-dry' if dry_run else ''}", count=len(rows))
