"""`mailgov dkim`: the keys that sign outgoing mail, from their making to their end."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mailgov_cli import acting
from mailgov_cli import runtime as runtime_module
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Noun, Place
from mailgov_cli.options import DryRun, PasswordFile, Reason, parse_moment
from mailgov_cli.output import Format
from mailgov_cli.runtime import Runtime, runtime

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mailgov.db.models import DkimKey

app = Noun()

Name = Annotated[str, typer.Argument(help="the domain", metavar="NAME")]
Selector = Annotated[str, typer.Argument(help="selector of the key", metavar="SELECTOR")]
FIELDS = ("domain", "selector", "algorithm", "state", "age_days", "seen_at", "next_step", "next_at")


@app.command(
    epilog="""mailgov dkim generate sonoivu.tinhmau.gov.vn
    mailgov dkim generate sonoivu.tinhmau.gov.vn --selector 2026b --type ed25519"""
)
def generate(
    ctx: typer.Context,
    name: Name,
    selector: Annotated[
        str, typer.Option("--selector", help="default: year and a letter, such as 2026a")
    ] = "",
    type_: Annotated[
        Literal["rsa2048", "ed25519"], typer.Option("--type", help="kind of key")
    ] = "rsa2048",
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make a key and print the record to publish; the private half stays in the data folder."""
    from mailgov.addresses import parse_domain
    from mailgov.clock import utc_now
    from mailgov.directory.provisioning import get_domain
    from mailgov.signing import key_folder
    from mailgov.signing.dns_records import dkim_record
    from mailgov.signing.keys import create_key, default_selector, keys_of
    from mailgov.signing.secret import read_secret

    run = runtime(ctx)
    domain = parse_domain(name)
    act = run.act(reason)
    secret = read_secret(run.config.signing, run.config.data.path)
    with run.change(dry_run=dry_run) as session:
        get_domain(session, domain)
        taken = [key.selector for key in keys_of(session, domain)]
        chosen = selector or default_selector(utc_now, taken)
        if dry_run:
            # Making the pair would leave a file behind, and another pair is made when it counts.
            _require_free(domain, chosen, taken)
            record = {"domain": domain, "selector": chosen, "algorithm": type_, "dry_run": True}
        else:
            key = create_key(
                session, key_folder(run.config), domain, chosen, type_, secret=secret,
                actor=act.actor, reason=act.reason,
            )  # fmt: skip
            published = dkim_record(domain, key)
            record = {
                "domain": domain,
                "selector": key.selector,
                "algorithm": key.algorithm,
                "state": key.state,
                "record_name": published.name,
                "record_type": published.type,
                "record_value": published.value,
            }
    run.emit("dkim.generate/1", [record], tuple(record), single=True)
    target = f"{record['selector']}._domainkey.{domain}"
    run.say("dry-run" if dry_run else "add", noun=run.noun("dkim"), target=target)
    if not dry_run:
        run.next(f"mailgov dns records {domain} --zone")


def _require_free(domain: str, selector: str, taken: list[str]) -> None:
    from mailgov.errors import Conflict
    from mailgov.signing.keys import parse_selector

    if parse_selector(selector) in taken:
        raise Conflict("selector-taken", domain=domain, selector=selector)


@app.command("list", epilog="mailgov dkim list\nmailgov dkim list --older-than 365d")
def list_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="only of this domain", metavar="NAME")] = "",
    older_than: Annotated[
        str, typer.Option("--older-than", help="only keys made before: 365d, 2026-01-01")
    ] = "",
) -> None:
    """Signing keys: kind, state, age, when DNS last showed them, what comes next."""
    from sqlmodel import col, select

    from mailgov.clock import utc_now
    from mailgov.db.models import DkimKey, Domain
    from mailgov.directory.provisioning import get_domain

    run = runtime(ctx)
    now = utc_now()
    before = parse_moment(older_than, now)
    with run.database.read() as session:
        query = select(DkimKey, Domain.name).join(Domain).order_by(Domain.name, DkimKey.selector)
        if name:
            query = query.where(DkimKey.domain_id == get_domain(session, name).id)
        if before is not None:
            query = query.where(col(DkimKey.created_at) < before)
        rows = []
        for key, domain in session.exec(query):
            step, at = _next_step(key)
            rows.append(
                {
                    "domain": domain,
                    "selector": key.selector,
                    "algorithm": key.algorithm,
                    "state": key.state,
                    "age_days": (now - key.created_at).days,
                    "seen_at": key.seen_at,
                    "next_step": step,
                    "next_at": at,
                    "created_at": key.created_at,
                    "file": key.file_name,
                }
            )
    wide = run.shown_format is not Format.TABLE
    run.emit("dkim.list/1", rows, (*FIELDS, "created_at", "file") if wide else FIELDS)


def _next_step(key: "DkimKey") -> "tuple[str, Any]":
    """What the scheduler will do with a key, and when."""
    if key.state == "pending" and key.activate_at is not None:
        return "activate", key.activate_at
    if key.state == "retired" and key.withdraw_at is not None:
        return "withdraw", key.withdraw_at
    return "", None


@app.command(epilog="mailgov dkim activate sonoivu.tinhmau.gov.vn 2026b")
def activate(
    ctx: typer.Context,
    name: Name,
    selector: Selector,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Sign with this key from now on; refused (exit 8) until DNS shows its record."""
    from mailgov.addresses import parse_domain
    from mailgov.directory.change import Change
    from mailgov.resolver import DnsResolver
    from mailgov.signing.dns_check import published_keys, shows_key
    from mailgov.signing.dns_records import dkim_record
    from mailgov.signing.keys import activate_key, get_key

    run = runtime(ctx)
    domain = parse_domain(name)
    with run.database.read() as session:
        record = dkim_record(domain, get_key(session, domain, selector))
    found = asyncio.run(published_keys(record, DnsResolver(run.config.dns)))
    if not shows_key(record, found):
        state = "differs" if found else "missing"
        row = {"name": record.name, "state": state, "found": found, "expected": record.value}
        run.emit("dkim.activate/1", [row], tuple(row), single=True)
        run.say("not-published", target=record.name)
        raise typer.Exit(Exit.FOUND)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        fields = activate_key(
            session, domain, selector, run.config.signing.withdraw_days,
            actor=act.actor, reason=act.reason,
        )  # fmt: skip
    change = Change("dkim", "edit", record.name, fields)
    run.emit_change("dkim.activate/1", change, dry_run=dry_run)


@app.command(epilog="mailgov dkim rotate sonoivu.tinhmau.gov.vn")
def rotate(
    ctx: typer.Context,
    name: Name,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Make the successors of a domain's keys and print the steps with their dates.

    Publish their records; the scheduler then activates them on the day, once DNS shows them.
    """
    from mailgov.addresses import parse_domain
    from mailgov.clock import utc_now
    from mailgov.directory.provisioning import get_domain
    from mailgov.signing import key_folder
    from mailgov.signing.keys import keys_of
    from mailgov.signing.rotation import rotate as make_successors
    from mailgov.signing.secret import read_secret

    run = runtime(ctx)
    domain, now = parse_domain(name), utc_now()
    act = run.act(reason)
    secret = read_secret(run.config.signing, run.config.data.path)
    with run.change(dry_run=dry_run) as session:
        get_domain(session, domain)
        if not dry_run:
            make_successors(
                session, key_folder(run.config), domain, run.config.signing, secret=secret,
                clock=lambda: now, actor=act.actor, reason=act.reason,
            )  # fmt: skip
        rows = _steps(run, domain, keys_of(session, domain), now)
    run.emit("dkim.rotate/1", rows, ("at", "step", "target", "value"))
    if dry_run:
        run.say("dry-run", noun=run.noun("dkim"), target=domain)
    else:
        run.next(f"mailgov dns check {domain}")


def _steps(run: Runtime, domain: str, keys: "Sequence[DkimKey]", now: Any) -> list[dict[str, Any]]:
    """What happens to which record, and when."""
    from datetime import timedelta

    from mailgov.signing.dns_records import dkim_record

    settings = run.config.signing
    waiting = [key for key in keys if key.state == "pending"]
    default = now + timedelta(days=settings.publish_days)
    rows = []
    for key in waiting:
        record = dkim_record(domain, key)
        at = key.activate_at or default
        rows.append({"at": now, "step": "publish", "target": record.name, "value": record.value})
        rows.append({"at": at, "step": "activate", "target": record.name, "value": ""})
    kinds = {key.algorithm for key in waiting}
    after = max((key.activate_at or default for key in waiting), default=default)
    for key in keys:
        if key.state == "active" and key.algorithm in kinds:
            name = f"{key.selector}._domainkey.{domain}"
            end = after + timedelta(days=settings.withdraw_days)
            rows.append({"at": after, "step": "retire", "target": name, "value": ""})
            rows.append({"at": end, "step": "withdraw", "target": name, "value": ""})
    return sorted(rows, key=lambda row: row["at"])


@app.command(epilog="mailgov dkim retire sonoivu.tinhmau.gov.vn 2026a")
def retire(
    ctx: typer.Context,
    name: Name,
    selector: Selector,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Sign with this key no more; its record stays published until the day that is printed."""
    from mailgov.addresses import parse_domain
    from mailgov.clock import utc_now
    from mailgov.directory.change import Change
    from mailgov.signing.keys import get_key
    from mailgov.signing.rotation import retire as retire_key

    run = runtime(ctx)
    domain = parse_domain(name)
    act = run.act(reason)
    with run.change(dry_run=dry_run) as session:
        fields: dict[str, tuple[Any, Any]] = dict(
            retire_key(
                session, domain, selector, run.config.signing,
                clock=utc_now, actor=act.actor, reason=act.reason,
            )
        )  # fmt: skip
        key = get_key(session, domain, selector)
        if fields:
            fields["withdraw_at"] = ("", key.withdraw_at)
    change = Change("dkim", "edit", f"{selector}._domainkey.{domain}", fields)
    run.emit_change("dkim.retire/1", change, dry_run=dry_run)


@app.command(
    epilog='mailgov dkim export sonoivu.tinhmau.gov.vn 2026b --to khoa.pem --password-file - --reason "chuyển máy chủ"'
)
def export(
    ctx: typer.Context,
    name: Name,
    selector: Selector,
    to: Annotated[Path, typer.Option("--to", help="file to write, readable by its owner alone")],
    reason: Annotated[str, typer.Option("--reason", help="why; kept in the ledger")],
    password_file: PasswordFile = None,
) -> None:
    """Write a private key to a file, encrypted with a password; a second person has to agree."""
    from mailgov.addresses import parse_domain
    from mailgov.db.models import Agency, Domain
    from mailgov.directory.change import Change, recorded
    from mailgov.errors import ConsentMissing
    from mailgov.signing import key_folder
    from mailgov.signing.export import export_key, write_private
    from mailgov.signing.keys import get_key
    from mailgov.signing.secret import read_secret

    run = runtime(ctx)
    domain = parse_domain(name)
    with run.database.read() as session:
        key = get_key(session, domain, selector)
        code = session.get_one(Agency, session.get_one(Domain, key.domain_id).agency_id).code
        path = key_folder(run.config) / key.file_name
    password = runtime_module.read_secret(run, password_file, prompt=True)
    if password is None:
        raise ConsentMissing("password-not-asked")
    secret = read_secret(run.config.signing, run.config.data.path)
    content = export_key(path, secret, password)
    acting.second_person(run, "key-export", {"domain": domain, "selector": selector}, reason)
    write_private(to, content)
    change = Change(
        "dkim", "export", f"{selector}._domainkey.{domain}", {"file": ("", to.name)}, code
    )
    with run.database.write() as session:
        recorded(session, run.act(reason), change)
    run.emit_change("dkim.export/1", change, dry_run=False)


@app.command(place=Place.SERVER, epilog="mailgov dkim protect")
def protect(ctx: typer.Context, dry_run: DryRun = False) -> None:
    """Encrypt every key file with the secret of `signing.secret_file`; make that first if missing."""
    from mailgov.errors import ConfigError
    from mailgov.signing import key_folder
    from mailgov.signing.keys import encrypt, is_encrypted
    from mailgov.signing.secret import create_secret, read_secret, secret_path

    run = runtime(ctx)
    settings, data = run.config.signing, run.config.data.path
    path = secret_path(settings)
    if path is None:
        raise ConfigError("signing-secret-unset")
    if not path.exists() and not dry_run:
        create_secret(path)
    secret = read_secret(settings, data) if path.exists() else None
    rows = []
    for file in sorted(key_folder(run.config).glob("*._domainkey.*.pem")):
        done = is_encrypted(file.read_bytes())
        if secret is not None and not dry_run:
            encrypt(file, secret)
        rows.append({"file": file.name, "changed": not done})
    run.emit("dkim.protect/1", rows, ("file", "changed"))
    if dry_run:
        run.say("dry-run", noun=run.noun("dkim"), target=str(path))


@app.command(place=Place.SERVER, epilog="mailgov dkim serve")
def serve(ctx: typer.Context) -> None:
    """Hold the keys in this process alone and sign for the others, at `signing.socket`."""
    import signal

    from mailgov import logs
    from mailgov.errors import ConfigError
    from mailgov.signing.holder import key_ring
    from mailgov.signing.remote import serve_keys

    run = runtime(ctx)
    config = run.config
    socket = config.signing.socket
    if socket is None:
        raise ConfigError("signing-socket-unset")
    logs.set_up(config.log)
    ring = key_ring(config)

    async def main() -> None:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await serve_keys(ring, socket, stop, lambda: run.say("ready"))

    asyncio.run(main())
