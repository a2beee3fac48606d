"""Dovecot as our child: started, supervised, its users changed, stopped."""

import asyncio
import imaplib
import os
import select
import signal
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from mailgov.addresses import Address
from mailgov.directory.tokens import SignInKey, new_app_password
from mailgov.errors import ConfigError, Unavailable
from mailgov.mailstore import layout, master, reach
from mailgov.mailstore.dovecot import DovecotChild, _greeted
from mailgov.mailstore.policy import PolicyServer
from mailgov.mailstore.users import Change
from tests.support.imap_engines import PASSWORD, Engine, config_for, require_dovecot, users

pytestmark = pytest.mark.dovecot

AN, BINH = users()[:2]


def log_in(host: str, port: int, user: str, password: str = PASSWORD) -> imaplib.IMAP4:
    client = imaplib.IMAP4(host, port, timeout=20)
    try:
        client.authenticate("PLAIN", lambda _: f"\0{user}\0{password}".encode())
    except imaplib.IMAP4.error:
        client.shutdown()
        raise
    return client


@pytest.fixture
def child(tmp_path: Path) -> DovecotChild:
    config = config_for(tmp_path)
    require_dovecot(config)
    return DovecotChild(config)


async def test_app_passwords_open_imap_and_no_others_mailbox(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    require_dovecot(config)
    key = SignInKey("00" * 32)
    password = new_app_password()
    without_password = replace(
        AN, password_hash="", apps=frozenset({(key.app_password(password), 7)})
    )
    child = DovecotChild(config, key.of("app-password").decode())
    await child.apply(Change((without_password, BINH)))
    host, port = reach.split(await child.start())
    try:
        for address, secret, opens in (
            (AN.address, password, True),
            (AN.address.upper(), password, True),
            (AN.address, password.upper(), False),
            (AN.address, PASSWORD, False),  # her own password opens no program any more
            (AN.address, "", False),
            (f"{AN.address}/{key.app_password(password)}", password, False),
            (BINH.address, password, False),
            (BINH.address, PASSWORD, True),
        ):
            try:
                client = await asyncio.to_thread(log_in, host, port, address, secret)
            except imaplib.IMAP4.error:
                assert not opens, (address, secret)
            else:
                client.shutdown()
                assert opens, (address, secret)
        secret = await asyncio.to_thread(master.token, config.data.path)
        webmail = await asyncio.to_thread(log_in, host, port, master.login_name(AN.address), secret)
        assert (await asyncio.to_thread(webmail.noop))[0] == "OK"
        # Revoked: what is signed in with it ends, and it opens nothing more.
        closed = replace(without_password, apps=frozenset())
        an = await asyncio.to_thread(log_in, host, port, AN.address, password)
        await child.apply(Change((closed, BINH), frozenset({AN.address})))
        with pytest.raises(imaplib.IMAP4.abort):
            await asyncio.to_thread(use_until_the_end, an)
        with pytest.raises(imaplib.IMAP4.error):
            await asyncio.to_thread(log_in, host, port, AN.address, password)
        webmail.shutdown()
        an.shutdown()
    finally:
        await child.stop()


class Bounds:
    """Says no to those who are held, and remembers what it is told."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.told: list[tuple[str, str, bool, int | None]] = []

    async def permits(self, name: str, ip: str) -> bool:
        return name.lower() not in self.held

    async def noted(self, name: str, ip: str, *, success: bool, app_password: int | None) -> None:
        self.told.append((name, ip, success, app_password))


async def test_guessing_is_bounded_as_elsewhere(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    require_dovecot(config)
    key, bounds, password = SignInKey("00" * 32), Bounds(), new_app_password()
    an = replace(AN, apps=frozenset({(key.app_password(password), 7)}))
    child = DovecotChild(config, key.of("app-password").decode(), PolicyServer(bounds))
    await child.apply(Change((an, BINH)))
    host, port = reach.split(await child.start())

    async def opens(address: str, secret: str) -> bool:
        try:
            (await asyncio.to_thread(log_in, host, port, address, secret)).shutdown()
        except imaplib.IMAP4.error:
            return False
        return True

    try:
        assert await opens(AN.address, PASSWORD)
        assert not await opens(BINH.address, "sai")
        assert not await opens("khong.co@vidu.gov.vn", "sai")
        assert await opens(AN.address, password)
        secret = await asyncio.to_thread(master.token, config.data.path)
        assert await opens(master.login_name(AN.address), secret)
        assert bounds.told == [
            (AN.address, "127.0.0.1", True, None),
            (BINH.address, "127.0.0.1", False, None),
            ("khong.co@vidu.gov.vn", "127.0.0.1", False, None),
            (AN.address, "127.0.0.1", True, 7),
        ]
        bounds.held = {AN.address}
        assert not await opens(AN.address, PASSWORD)  # right, and held off all the same
        assert await opens(AN.address, password)
        assert await opens(master.login_name(AN.address), secret)
        assert await opens(BINH.address, PASSWORD)
    finally:
        await child.stop()


async def test_a_life(child: DovecotChild, tmp_path: Path) -> None:
    await child.apply(Change((AN, BINH)))
    host, port = reach.split(await child.start())
    try:
        an = await asyncio.to_thread(log_in, host, port, AN.address)
        binh = await asyncio.to_thread(log_in, host, port, BINH.address)
        # Suspended: the session ends, and there is no other.
        await child.apply(Change((BINH,), frozenset({AN.address})))
        with pytest.raises(imaplib.IMAP4.abort):
            await asyncio.to_thread(use_until_the_end, an)
        with pytest.raises(imaplib.IMAP4.error):
            await asyncio.to_thread(log_in, host, port, AN.address)
        assert (await asyncio.to_thread(binh.noop))[0] == "OK"
        binh.shutdown()
        an.shutdown()
        # Killed: it comes back at the same address.
        pid = int((tmp_path / "dovecot" / "pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)
        (await back(host, port)).shutdown()
    finally:
        await child.stop()
    await child.wait()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)


def use_until_the_end(client: imaplib.IMAP4) -> None:
    """Signals take a moment to arrive: go on until the server has hung up."""
    while True:
        client.noop()


async def back(host: str, port: int) -> imaplib.IMAP4:
    """Sign in once the server is there again."""
    async with asyncio.timeout(20):
        while True:
            await _greeted(host, port, tls=False)
            try:
                return await asyncio.to_thread(log_in, host, port, BINH.address)
            except (OSError, imaplib.IMAP4.error):
                continue  # that was an orphan's last greeting


def test_special_folders_are_there_and_subscribed(dovecot_engine: Engine) -> None:
    with dovecot_engine.wire(dovecot_engine.mailbox()) as wire:
        listed = b"\n".join(wire.ok(b'LIST "" "*"'))
        subscribed = b"\n".join(wire.ok(b'LSUB "" "*"'))
    for name, use in layout.SPECIAL_FOLDERS.items():
        assert f'{use}) "/" {name}'.encode() in listed
        assert f'"/" {name}'.encode() in subscribed


def test_folder_names_are_utf8_on_the_disk(dovecot_engine: Engine) -> None:
    address = dovecot_engine.mailbox()
    with dovecot_engine.wire(address) as wire:
        wire.ok(b'CREATE "V&AQM-n b&HqM-n/2026"')
    assert (dovecot_engine.maildir(address) / ".Văn bản.2026" / "cur").is_dir()


def test_bytes_appended_are_bytes_on_the_disk(dovecot_engine: Engine) -> None:
    address = dovecot_engine.mailbox()
    message = "Subject: Giấy mời\r\n\r\nKính gửi\r\n".encode()
    with dovecot_engine.wire(address) as wire:
        wire.append(b"INBOX", message)
    (file,) = (dovecot_engine.maildir(address) / "new").iterdir()
    assert file.read_bytes() == message
    assert f",S={len(message)},W={len(message)}" in file.name


def test_the_webmail_opens_every_mailbox_and_nobody_else_does(dovecot_engine: Engine) -> None:
    engine, address = dovecot_engine, dovecot_engine.mailbox()
    secret = master.token(engine.config.data.path)
    client = log_in(engine.host, engine.port, master.login_name(address), secret)
    assert client.select("INBOX")[0] == "OK"
    client.shutdown()
    strangers = [
        (master.login_name(address), PASSWORD),
        (address, secret),
        (master.login_name("khong.ai@vidu.gov.vn"), secret),
        (f"{address}*root", secret),
    ]

    def is_refused(who: tuple[str, str]) -> bool:
        try:
            log_in(engine.host, engine.port, *who).shutdown()
        except imaplib.IMAP4.error:
            return True
        return False

    with ThreadPoolExecutor(len(strangers)) as at_once:  # each refusal is delayed
        assert list(at_once.map(is_refused, strangers)) == [True] * len(strangers)


async def test_the_network_gets_tls_from_the_first_byte(tmp_path: Path) -> None:
    config = config_for(tmp_path, "0.0.0.0:0")
    require_dovecot(config)
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    (tmp_path / "tls").mkdir()
    issued.private_key_pem.write_to_path(tmp_path / "tls" / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(tmp_path / "tls" / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    child = DovecotChild(config)
    await child.apply(Change((AN,)))
    _, port = reach.split(await child.start())
    try:
        client = await asyncio.to_thread(imaplib.IMAP4_SSL, "127.0.0.1", port, ssl_context=context)
        assert client.welcome.startswith(b"* OK")
        client.shutdown()
    finally:
        await child.stop()


async def test_a_busy_port_is_told_plainly(dovecot_engine: Engine, tmp_path: Path) -> None:
    child = DovecotChild(config_for(tmp_path, f"{dovecot_engine.host}:{dovecot_engine.port}"))
    await child.apply(Change(()))
    with pytest.raises(Unavailable, match="port-busy"):
        await child.start()


async def test_a_missing_certificate_is_told_plainly(tmp_path: Path) -> None:
    config = config_for(tmp_path, "0.0.0.0:0")
    require_dovecot(config)
    child = DovecotChild(config)
    await child.apply(Change(()))
    with pytest.raises(ConfigError, match="certificate-missing"):
        await child.start()


async def test_a_missing_program_is_told_plainly(tmp_path: Path) -> None:
    config = config_for(tmp_path)
    config = config.model_copy(
        update={"mailstore": config.mailstore.model_copy(update={"dovecot_binary": "dovecot-1.0"})}
    )
    with pytest.raises(Unavailable, match="mailstore-engine-missing"):
        await DovecotChild(config).start()


async def test_a_data_folder_that_dovecot_can_not_name(tmp_path: Path) -> None:
    config = config_for(tmp_path / "a:b")
    require_dovecot(config_for(tmp_path))
    child = DovecotChild(config)
    await child.apply(Change(()))
    with pytest.raises(ConfigError, match="mailstore-path-not-valid"):
        await child.start()


OWNER = """
import asyncio, sys
from pathlib import Path
from tests.support.imap_engines import config_for
from mailgov.mailstore.dovecot import DovecotChild
from mailgov.mailstore.policy import PolicyServer
from mailgov.mailstore.users import Change

async def main():
    child = DovecotChild(config_for(Path(sys.argv[1])))
    await child.apply(Change(()))
    print(await child.start(), flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_it_does_not_outlive_a_killed_owner(tmp_path: Path) -> None:
    require_dovecot(config_for(tmp_path))
    root = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, cwd=root
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline()
        pid = int((tmp_path / "dovecot" / "pid").read_text().split()[0])
        handle = os.pidfd_open(pid)
        owner.kill()
    try:
        assert select.select([handle], [], [], 10)[0], "it lives on"
    finally:
        os.close(handle)


def test_the_mailbox_lies_where_the_layout_says(dovecot_engine: Engine) -> None:
    address = dovecot_engine.mailbox()
    with dovecot_engine.wire(address) as wire:
        wire.ok(b"SELECT INBOX")
    home = layout.home(dovecot_engine.config.data.path, Address.parse(address))
    assert (home / "Maildir" / "cur").is_dir()
