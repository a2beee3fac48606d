"""The address book, asked as phones and mail programs ask."""

import asyncio
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import lxml.etree
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.testclient import TestClient

from mailgov.addressbook.server import routes
from mailgov.addressbook.vcard import Contact, render
from mailgov.config import AddressBook, Limits
from mailgov.db import Database
from mailgov.db.migrate import migrate
from mailgov.directory import Directory
from mailgov.directory.provisioning import (
    NewMailbox,
    add_app_password,
    add_mailbox,
    revoke_app_password,
    suspend,
)

from ...support.directory import AN, NOW, act, fill_directory

UNIT = "binhtt@sonoivu.tinhmau.test"
COMMUNE = "lan@xahoabinh.tinhmau.test"
BOOK = "/dav/books/agency/"
NS = {"d": "DAV:", "card": "urn:ietf:params:xml:ns:carddav"}


class House:
    """A directory with an address book over it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = NOW
        self.directory = Directory(database, lambda: self.now, Limits(), official_suffixes=["test"])
        with database.write() as session:
            fill_directory(session)
            self.add(session, UNIT, "H99.02.01", "Trần Thị Bình", "VC-2")
            self.add(session, COMMUNE, "H99.47", "Lê Thị Lan", "VC-3")
        self.password = self.app_password("dav")

    def add(self, session: Any, address: str, agency: str, name: str, number: str) -> None:
        new = NewMailbox(address=address, agency=agency, name=name, staff_no=number, title="Chuyên viên; tổ, 1")  # fmt: skip
        add_mailbox(session, act(), new)

    def app_password(self, *scopes: str, address: str = AN) -> str:
        with self.database.write() as session:
            return add_app_password(session, act(), address, label="máy", scopes=scopes).password

    def client(self, address: str = AN, password: str = "", **settings: Any) -> TestClient:
        client = TestClient(self.app(**settings), client=("127.0.0.1", 5000))
        client.auth = (address.encode(), (password or self.password).encode())
        return client

    def app(self, **settings: Any) -> Starlette:
        return Starlette(routes=routes(AddressBook(**settings), self.directory, self.database))


@pytest.fixture
def house(database: Database) -> House:
    """One that the test may change."""
    return House(database)


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One that all look at and nobody changes."""
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('book') / 'mailgov.db'}", readers=2)
    migrate(database)
    yield House(database)
    database.close()


def propfind(client: TestClient, path: str, *names: str, depth: str = "0") -> dict[str, Any]:
    """Properties by address of the place, those found alone."""
    props = "".join(f"<{name}/>" for name in names)
    body = f'<d:propfind xmlns:d="DAV:" xmlns:card="{NS["card"]}"><d:prop>{props}</d:prop></d:propfind>'  # fmt: skip
    answer = client.request("PROPFIND", path, headers={"Depth": depth}, content=body)
    assert answer.status_code == 207, answer.text
    return properties(answer.content)


def properties(content: bytes) -> dict[str, Any]:
    found = {}
    for response in lxml.etree.fromstring(content).iterfind("d:response", NS):
        good = [one for one in response.iterfind("d:propstat", NS) if "200" in one.findtext("d:status", "", NS)]  # fmt: skip
        found[response.findtext("d:href", "", NS)] = {
            lxml.etree.QName(prop).localname: prop
            for one in good
            for prop in one.find("d:prop", NS)
        }
    return found


def names(client: TestClient) -> set[str]:
    found = propfind(client, BOOK, "d:displayname", "d:getetag", depth="1")
    return {one["displayname"].text for href, one in found.items() if href.endswith(".vcf")}


def report(client: TestClient, body: str) -> Any:
    return client.request("REPORT", BOOK, content=body.format(**{k: f'xmlns:{k}="{v}"' for k, v in NS.items()}))  # fmt: skip


def test_a_program_finds_its_way_from_the_name_of_the_server_alone(still: House) -> None:
    client = still.client()
    led = client.request("PROPFIND", "/.well-known/carddav", follow_redirects=False)
    assert (led.status_code, led.headers["location"]) == (301, "/dav/")
    root = propfind(client, "/dav/", "d:current-user-principal")
    principal = root["/dav/"]["current-user-principal"].findtext("d:href", "", NS)
    home = propfind(client, principal, "card:addressbook-home-set")
    place = home[principal]["addressbook-home-set"].findtext("d:href", "", NS)
    books = propfind(client, place, "d:resourcetype", "d:displayname", depth="1")
    [book] = [href for href, one in books.items() if one["resourcetype"].find("card:addressbook", NS) is not None]  # fmt: skip
    assert books[book]["displayname"].text == "Sở Nội vụ"


def test_the_own_agency_and_what_is_below_it(still: House) -> None:
    assert names(still.client()) == {"Nguyễn Văn An", "Trần Thị Bình", "Sở Nội vụ"}
    unit = still.app_password("dav", address=UNIT)
    assert names(still.client(UNIT, unit)) == {"Trần Thị Bình"}
    wider = still.client(UNIT, unit, levels_up=1)
    assert names(wider) == {"Nguyễn Văn An", "Trần Thị Bình", "Sở Nội vụ"}


def test_who_is_suspended_is_not_in_it(any_database: Database) -> None:
    house = House(any_database)
    with house.database.write() as session:
        suspend(session, act("nghỉ"), UNIT)
    assert names(house.client()) == {"Nguyễn Văn An", "Sở Nội vụ"}


def test_no_telephone_number_unless_it_is_allowed(house: House) -> None:
    with house.database.write() as session:
        from sqlmodel import select

        from mailgov.db.models import Person

        person = session.exec(select(Person).where(Person.staff_no == "VC-2")).one()
        person.phone = "+84901234567"
        session.add(person)
    assert all("TEL" not in text for text in cards(house.client()))
    assert any("TEL;TYPE=WORK,VOICE:+84901234567\r\n" in text for text in cards(house.client(phones=True)))  # fmt: skip


def cards(client: TestClient) -> list[str]:
    answer = report(client, "<card:addressbook-query {card} {d}><d:prop><card:address-data/></d:prop></card:addressbook-query>")  # fmt: skip
    return [one["address-data"].text for one in properties(answer.content).values()]


@pytest.mark.parametrize(
    ("filter_", "found"),
    [
        ('<card:prop-filter name="FN"><card:text-match>BÌNH</card:text-match></card:prop-filter>', 1),
        ('<card:prop-filter name="EMAIL"><card:text-match match-type="starts-with">annv@</card:text-match></card:prop-filter>', 1),
        ('<card:prop-filter name="FN"><card:text-match negate-condition="yes">an</card:text-match></card:prop-filter>', 2),
        ('<card:prop-filter name="TEL"><card:is-not-defined/></card:prop-filter>', 3),
        ('<card:prop-filter name="TITLE"/>', 1),
        ("", 3),
    ],
)  # fmt: skip
def test_queries(still: House, filter_: str, found: int) -> None:
    answer = report(
        still.client(),
        "<card:addressbook-query {card} {d}><d:prop><d:getetag/></d:prop>"
        f"<card:filter>{filter_}</card:filter></card:addressbook-query>",
    )
    assert len(properties(answer.content)) == found


def test_a_filter_of_another_kind_is_refused_as_the_standard_says(still: House) -> None:
    answer = report(
        still.client(),
        '<card:addressbook-query {card} {d}><d:prop/><card:filter><card:prop-filter name="X-BANK"/>'
        "</card:filter></card:addressbook-query>",
    )
    assert (answer.status_code, b"supported-filter" in answer.content) == (403, True)


def test_several_at_once_and_one_that_is_gone(still: House) -> None:
    client = still.client()
    hrefs = [href for href in propfind(client, BOOK, "d:getetag", depth="1") if href != BOOK]
    asked = "".join(f"<d:href>{href}</d:href>" for href in [*hrefs[:2], f"{BOOK}9999.vcf"])
    answer = report(client, "<card:addressbook-multiget {card} {d}><d:prop><card:address-data/></d:prop>" + asked + "</card:addressbook-multiget>")  # fmt: skip
    assert answer.content.count(b"BEGIN:VCARD") == 2
    assert b"HTTP/1.1 404 Not Found" in answer.content


def test_a_sync_tells_nothing_when_nothing_changed_and_starts_anew_when_it_did(
    house: House,
) -> None:
    client = house.client()
    ask = "<d:sync-collection {card} {d}><d:sync-token>%s</d:sync-token><d:sync-level>1</d:sync-level><d:prop><d:getetag/></d:prop></d:sync-collection>"  # fmt: skip
    first = report(client, ask % "")
    token = lxml.etree.fromstring(first.content).findtext("d:sync-token", "", NS)
    assert len(properties(first.content)) == 3
    assert properties(report(client, ask % token).content) == {}
    with house.database.write() as session:
        suspend(session, act("nghỉ"), UNIT)
    later = report(client, ask % token)
    assert (later.status_code, b"valid-sync-token" in later.content) == (403, True)
    assert len(properties(report(client, ask % "").content)) == 2


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PROPPATCH", "MKCOL", "POST", "MOVE"])
def test_nothing_can_be_written(still: House, method: str) -> None:
    answer = still.client().request(method, f"{BOOK}1.vcf", content=b"BEGIN:VCARD")
    assert (answer.status_code, b"need-privileges" in answer.content) == (403, True)


def test_one_contact(still: House) -> None:
    client = still.client()
    [href] = [h for h, one in propfind(client, BOOK, "d:displayname", depth="1").items() if one["displayname"].text == "Trần Thị Bình"]  # fmt: skip
    answer = client.get(href)
    assert answer.headers["content-type"] == "text/vcard; charset=utf-8"
    assert "N:Trần;Bình;Thị;;\r\n" in answer.text
    assert "TITLE:Chuyên viên\\; tổ\\, 1\r\n" in answer.text


class TestWhoMayAsk:
    def test_not_without_a_password(self, still: House) -> None:
        client = TestClient(still.app(), client=("127.0.0.1", 5000))
        answer = client.request("PROPFIND", BOOK)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic ")

    def test_not_with_an_app_password_for_something_else(self, still: House) -> None:
        other = still.app_password("imap", "smtp")
        assert still.client(password=other).request("PROPFIND", BOOK).status_code == 401

    def test_not_with_a_revoked_one(self, house: House) -> None:
        with house.database.write() as session:
            revoke_app_password(session, act("mất máy"), AN, 2)
        assert house.client().request("PROPFIND", BOOK).status_code == 401

    def test_not_once_suspended(self, house: House) -> None:
        with house.database.write() as session:
            suspend(session, act("nghỉ"), AN)
        assert house.client().request("PROPFIND", BOOK).status_code == 401

    def test_not_over_a_network_in_clear(self, still: House) -> None:
        client = TestClient(still.app(), client=("192.0.2.7", 5000))
        client.auth = (AN, still.password)
        assert client.request("PROPFIND", BOOK).status_code == 403

    def test_guessing_is_held_off(self, house: House) -> None:
        client = house.client(password="falsch")
        codes = {client.request("PROPFIND", BOOK).status_code for _ in range(12)}
        assert codes == {401, 429}


@pytest.mark.parametrize(
    "body",
    [
        b"<d:propfind",
        b'<!DOCTYPE x [<!ENTITY a "b">]><d:propfind xmlns:d="DAV:"/>',
        b'<x xmlns="DAV:"/>',
        b'<d:propfind xmlns:d="DAV:"><d:prop>' + b"<d:a/>" * 200 + b"</d:prop></d:propfind>",
    ],
)
def test_bodies_that_mean_nothing(still: House, body: bytes) -> None:
    assert still.client().request("PROPFIND", BOOK, content=body).status_code == 400


def test_too_much_is_not_read(still: House) -> None:
    assert still.client().request("PROPFIND", BOOK, content=b" " * (1 << 20) + b"x").status_code == 413  # fmt: skip


def test_long_lines_are_folded_between_letters() -> None:
    text = render(Contact("1", "Ủy ban nhân dân " * 12, "a@b.vn", "x"))
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    assert "Ủy ban nhân dân Ủy" in text.replace("\r\n ", "")


@contextmanager
def served(app: Starlette) -> Iterator[str]:
    """The app on a port of this machine, in a thread."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


VDIRSYNCER = """
[general]
status_path = "{folder}/status"
[pair book]
a = "there"
b = "here"
collections = ["from a"]
conflict_resolution = "a wins"
[storage there]
type = "carddav"
url = "{url}/"
username = "{user}"
password = "{password}"
read_only = true
[storage here]
type = "filesystem"
path = "{folder}/contacts"
fileext = ".vcf"
"""


def test_vdirsyncer_copies_the_book_and_follows_it(database: Database, tmp_path: Path) -> None:
    program = shutil.which("vdirsyncer")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("vdirsyncer is not installed")
        pytest.skip("no vdirsyncer on this machine")
    house = House(database)

    def sync() -> list[str]:
        environment = {**os.environ, "VDIRSYNCER_CONFIG": str(tmp_path / "config"), "HOME": str(tmp_path)}  # fmt: skip
        for arguments in (["discover"], ["sync"]):
            done = subprocess.run([program, *arguments], env=environment, input="y\n" * 9, capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
            assert done.returncode == 0, done.stderr
        return sorted(file.read_text() for file in (tmp_path / "contacts").glob("*/*.vcf"))

    with served(house.app()) as url:
        text = VDIRSYNCER.format(folder=tmp_path, url=url, user=AN, password=house.password)
        (tmp_path / "config").write_text(text)
        found = sync()
        assert len(found) == 3
        assert any("FN:Trần Thị Bình" in card for card in found)
        house.now += timedelta(minutes=5)
        with house.database.write() as session:
            suspend(session, act("nghỉ"), UNIT)
        assert len(sync()) == 2
