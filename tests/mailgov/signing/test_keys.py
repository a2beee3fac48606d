"""Keys: private, named once, in the ledger."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlmodel import select

from mailgov import ledger
from mailgov.db import Database
from mailgov.db.models import DkimKey
from mailgov.errors import Conflict, InputError, NotFound
from mailgov.ledger.events import DirectoryChanged
from mailgov.signing import keys

from ..queue.samples import NOON
from .samples import DOMAIN, add_domain, add_key


@pytest.fixture
def domain(database: Database) -> Database:
    add_domain(database)
    return database


def test_a_key_file_is_readable_by_its_owner_alone(domain: Database, tmp_path: Path) -> None:
    add_key(domain, tmp_path / "keys")
    (path,) = (tmp_path / "keys").iterdir()
    assert path.name == f"2026a._domainkey.{DOMAIN}.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    key = keys.load(path)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 2048


def test_the_row_has_the_public_half_only(domain: Database, tmp_path: Path) -> None:
    record = add_key(domain, tmp_path, algorithm="ed25519")
    key = keys.load(next(tmp_path.glob("*.pem")))
    assert isinstance(key, ed25519.Ed25519PrivateKey)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    assert record == f"v=DKIM1; k=ed25519; p={public}"
    with domain.read() as session:
        row = session.exec(select(DkimKey)).one()
    assert (row.public_key, row.algorithm, row.created_at) == (public, "ed25519", NOON)


def test_the_first_key_signs_and_later_ones_wait(domain: Database, tmp_path: Path) -> None:
    for selector in ("2026a", "2026b"):
        add_key(domain, tmp_path, selector)
    with domain.read() as session:
        states = {key.selector: key.state for key in keys.keys_of(session, DOMAIN)}
    assert states == {"2026a": "active", "2026b": "pending"}


def test_a_new_key_is_in_the_ledger_without_its_secret(domain: Database, tmp_path: Path) -> None:
    add_key(domain, tmp_path)
    with domain.read() as session:
        (event,) = ledger.of_kinds(session, [DirectoryChanged.kind])
    assert event.agency_code == "H99.02"
    assert event.data == {
        "noun": "dkim",
        "verb": "add",
        "target": f"2026a._domainkey.{DOMAIN}",
        "changes": {"algorithm": ["", "rsa2048"], "state": ["", "active"]},
        "reason": "",
    }


def test_a_selector_is_taken_once(domain: Database, tmp_path: Path) -> None:
    add_key(domain, tmp_path)
    with pytest.raises(Conflict, match="selector-taken"):
        add_key(domain, tmp_path, "2026A")


def test_a_key_file_is_never_written_over(domain: Database, tmp_path: Path) -> None:
    (tmp_path / f"2026a._domainkey.{DOMAIN}.pem").write_text("precious")
    with pytest.raises(Conflict, match="signing-key-file-exists"):
        add_key(domain, tmp_path)


def test_keys_belong_to_domains_of_ours(database: Database, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="domain-unknown"):
        add_key(database, tmp_path)


@pytest.mark.parametrize("selector", ["", "a.b", "-a", "a-", "ấ", "a_b", "../x", "x" * 64])
def test_a_selector_is_one_label(selector: str) -> None:
    with pytest.raises(InputError, match="selector-not-valid"):
        keys.parse_selector(selector)


def test_the_default_selector_is_the_years_next_letter() -> None:
    assert keys.default_selector(lambda: NOON, []) == "2026a"
    assert keys.default_selector(lambda: NOON, ["2026a", "2026b"]) == "2026c"
