"""Key pairs of DKIM. The private half is a file that only the service may read."""

import base64
import os
import stat
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, assert_never

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from sqlmodel import Session, col, select

from mailgov import ledger
from mailgov.clock import Clock, utc_now
from mailgov.db.models import Agency, DkimKey, Domain
from mailgov.errors import ConfigError, Conflict, InputError, NotFound, Unavailable
from mailgov.ledger.events import DirectoryChanged

Algorithm = Literal["rsa2048", "ed25519"]
PrivateKey = rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

_MAX_SELECTOR = 63  # one label of a domain name
_LABEL_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-")


def generate(
    folder: Path, file_name: str, algorithm: Algorithm, secret: bytes | None = None
) -> str:
    """Make a key pair; the private half into a new file, synced. Returns the p= tag's value.

    With a secret the file is encrypted. Raises Conflict `signing-key-file-exists`. Blocks: an RSA key takes a tenth of a second.
    """
    key = _new_key(algorithm)
    pem = _as_pem(key, secret)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / file_name
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as exc:
        raise Conflict("signing-key-file-exists", file=path) from exc
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return public_key(key)


def _as_pem(key: PrivateKey, secret: bytes | None) -> bytes:
    encryption: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    )
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def _new_key(algorithm: Algorithm) -> PrivateKey:
    match algorithm:
        case "rsa2048":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)  # RFC 8301, 3.2
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()  # RFC 8463
        case never:
            assert_never(never)


def public_key(key: PrivateKey) -> str:
    """The p= tag: SubjectPublicKeyInfo for RSA (RFC 6376, 3.6.1), 32 bytes for Ed25519 (RFC 8463)."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        data = public.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    else:
        data = public.public_bytes_raw()
    return base64.b64encode(data).decode()


def load(path: Path, secret: bytes | None = None) -> PrivateKey:
    """The private key in a file, encrypted or not.

    Raises Unavailable `signing-key-missing` when it is gone, no key, or locked with another secret,
    ConfigError `signing-key-exposed` when others may read it.
    """
    try:
        _require_private(path)
        pem = path.read_bytes()
        password = secret if is_encrypted(pem) else None
        key = serialization.load_pem_private_key(pem, password=password)
    except (OSError, ValueError, TypeError) as exc:
        raise Unavailable("signing-key-missing", file=path) from exc
    if not isinstance(key, rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise Unavailable("signing-key-missing", file=path)
    return key


def is_encrypted(pem: bytes) -> bool:
    """Whether a key file needs the secret."""
    return pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def encrypt(path: Path, secret: bytes) -> bool:
    """Encrypt a key file in place, whole or not at all; False when it is encrypted already.

    Raises as `load` does.
    """
    if is_encrypted(path.read_bytes()):
        load(path, secret)
        return False
    pem = _as_pem(load(path), secret)
    new = path.with_name(f".{path.name}.new")
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True


def require_private(folder: Path) -> None:
    """Raise ConfigError `signing-key-exposed` if others may read a key in the folder."""
    if folder.is_dir():
        for path in folder.iterdir():
            _require_private(path)


def _require_private(path: Path) -> None:
    mode = path.stat().st_mode
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError("signing-key-exposed", file=path, mode=f"{stat.S_IMODE(mode):04o}")


def create_key(
    session: Session,
    folder: Path,
    domain: str,
    selector: str,
    algorithm: Algorithm = "rsa2048",
    *,
    secret: bytes | None = None,
    activate_at: datetime | None = None,
    clock: Clock = utc_now,
    actor: str = "",
    reason: str = "",
) -> DkimKey:
    """Give a domain a key, in the caller's transaction.

    It signs at once if the domain has no active key, else it waits as `pending` until
    DNS shows it, and until the planned moment if one is given. Raises NotFound `domain-unknown`, InputError `selector-not-valid`, Conflict
    `selector-taken` or `signing-key-file-exists`.
    """
    row = session.exec(select(Domain).where(Domain.name == domain)).first()
    if row is None:
        raise NotFound("domain-unknown", domain=domain)
    selector = parse_selector(selector)
    keys = session.exec(select(DkimKey).where(DkimKey.domain_id == row.id)).all()
    if any(key.selector == selector for key in keys):
        raise Conflict("selector-taken", domain=domain, selector=selector)
    file_name = f"{selector}._domainkey.{domain}.pem"
    state = "pending" if any(key.state == "active" for key in keys) else "active"
    assert row.id is not None
    key = DkimKey(
        domain_id=row.id,
        selector=selector,
        algorithm=algorithm,
        public_key=generate(folder, file_name, algorithm, secret),
        file_name=file_name,
        state=state,
        created_at=clock(),
        activate_at=activate_at if state == "pending" else None,
        activated_at=clock() if state == "active" else None,
    )
    session.add(key)
    session.flush()
    event = DirectoryChanged(
        at=clock(),
        agency_code=_owner(session, domain),
        actor=actor,
        noun="dkim",
        verb="add",
        target=f"{selector}._domainkey.{domain}",
        changes={"algorithm": ["", algorithm], "state": ["", key.state]},
        reason=reason,
    )
    ledger.record(session, event)
    return key


def _owner(session: Session, domain: str) -> str:
    query = select(Agency.code).join(Domain, col(Domain.agency_id) == Agency.id)
    return session.exec(query.where(Domain.name == domain)).one()


def keys_of(session: Session, domain: str) -> list[DkimKey]:
    """Every key of a domain, oldest first."""
    query = select(DkimKey).join(Domain).where(Domain.name == domain).order_by(col(DkimKey.id))
    return list(session.exec(query))


def get_key(session: Session, domain: str, selector: str) -> DkimKey:
    """One key of a domain. Raises NotFound `dkim-key-unknown`."""
    key = next((key for key in keys_of(session, domain) if key.selector == selector), None)
    if key is None:
        raise NotFound("dkim-key-unknown", domain=domain, selector=selector)
    return key


def activate_key(
    session: Session,
    domain: str,
    selector: str,
    withdraw_days: float = 30,
    *,
    clock: Clock = utc_now,
    actor: str = "",
    reason: str = "",
) -> dict[str, tuple[str, str]]:
    """Let a key sign from now on, in the caller's transaction; returns old and new state by target.

    Keys of the same kind that signed until now are retired: published, so that mail under way
    still verifies, and used no more. Empty when the key signs already. Raises NotFound
    `dkim-key-unknown`, Conflict `dkim-key-withdrawn` for one whose private half is gone.
    """
    chosen = get_key(session, domain, selector)
    if chosen.state == "withdrawn":
        raise Conflict("dkim-key-withdrawn", domain=domain, selector=selector)
    states = {key.selector: _state_after(key, chosen) for key in keys_of(session, domain)}
    return change_states(
        session, domain, states, withdraw_days,
        about=selector, clock=clock, actor=actor, reason=reason,
    )  # fmt: skip


def change_states(
    session: Session,
    domain: str,
    states: Mapping[str, str],
    withdraw_days: float,
    *,
    about: str = "",
    clock: Clock,
    actor: str,
    reason: str,
) -> dict[str, tuple[str, str]]:
    """Give keys, by selector, new states with their dates; returns old and new state by target.

    `about` is the selector that the ledger names; else the first that changes.
    """
    now, changes = clock(), {}
    for key in keys_of(session, domain):
        state = states.get(key.selector, key.state)
        if state == key.state:
            continue
        changes[f"{key.selector}._domainkey.{domain}"] = (key.state, state)
        key.state = state
        if state == "active":
            key.activated_at, key.activate_at = now, None
            key.retired_at = key.withdraw_at = None
        elif state == "retired":
            key.retired_at, key.withdraw_at = now, now + timedelta(days=withdraw_days)
        session.add(key)
    session.flush()
    if changes:
        event = DirectoryChanged(
            at=now,
            agency_code=_owner(session, domain),
            actor=actor,
            noun="dkim",
            verb="edit",
            target=f"{about}._domainkey.{domain}" if about else next(iter(changes)),
            changes={name: list(pair) for name, pair in changes.items()},
            reason=reason,
        )
        ledger.record(session, event)
    return changes


def _state_after(key: DkimKey, chosen: DkimKey) -> str:
    if key.id == chosen.id:
        return "active"
    replaced = key.state == "active" and key.algorithm == chosen.algorithm
    return "retired" if replaced else key.state


def parse_selector(text: str) -> str:
    """A selector in its one form: one lower-case label. Raises InputError `selector-not-valid`."""
    selector = text.lower()
    is_label = set(selector) <= _LABEL_SIGNS and selector == selector.strip("-")
    if not selector or len(selector) > _MAX_SELECTOR or not is_label:
        raise InputError("selector-not-valid", selector=text[:_MAX_SELECTOR])
    return selector


def default_selector(clock: Clock, taken: list[str]) -> str:
    """Year and letters: 2026a, 2026b, …, 2026aa, …; the first that is free."""
    year = clock().year
    letters = "abcdefghijklmnopqrstuvwxyz"
    names = (f"{year}{more}{letter}" for more in ("", *letters) for letter in letters)
    return next(name for name in names if name not in taken)
