"""Trust roots on disk, and on their way to the readers."""

import hashlib
from pathlib import Path

import pytest

from mailgov.config import Config, Readers, load_config
from mailgov.content import read_message
from mailgov.errors import InputError
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov.trust_roots import read_trust_roots

from ..support import signers
from .content import making


def test_files_and_folders_give_each_certificate_once(tmp_path: Path) -> None:
    one, two = signers.authority("Một"), signers.authority("Hai")
    (tmp_path / "goc.pem").write_bytes(one.pem + two.pem)
    (tmp_path / "goc.cer").write_bytes(two.der)
    (tmp_path / "ghi-chu.txt").write_text("không phải chứng thư")
    assert read_trust_roots([tmp_path / "goc.pem"]) == (one.der, two.der)
    assert {*read_trust_roots([tmp_path])} == {one.der, two.der}
    assert len(read_trust_roots([tmp_path, tmp_path / "goc.cer"])) == 2
    assert read_trust_roots([]) == ()


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nx", b"\x30\x03abc"])
def test_a_file_without_a_certificate_is_a_mistake(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "goc.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_trust_roots([path])
    assert caught.value.code == "trust-roots-unreadable"
    assert caught.value.fields["file"] == path


def test_an_empty_folder_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="trust-roots-unreadable"):
        read_trust_roots([tmp_path])


@pytest.mark.parametrize("value", ['"goc"', '["goc"]'])
def test_the_setting_is_a_folder_or_a_list(tmp_path: Path, value: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(f"[policy]\ntrust_roots = {value}\n")
    assert load_config(path).policy.trust_roots == [tmp_path / "goc"]
    assert Config().policy.trust_roots == []


async def test_sandboxed_readers_say_what_is_said_here() -> None:
    """Nothing that signatures need is loaded only when the sandbox is closed."""
    root = signers.authority()
    async with ReaderPool(Readers(processes=1), trust_roots=[root.der]) as readers:
        there = [await readers.read(_body(data)) for data in MESSAGES]
    here = [read_message(data, None, (root.der,)) for data in MESSAGES]
    assert there == here
    states = [
        one.state
        for content in there
        for one in (*content.signatures, *(s for a in content.attachments for s in a.signatures))
    ]
    assert states == ["valid"] * 4


async def test_without_roots_nobody_is_known() -> None:
    async with ReaderPool(Readers(processes=1)) as readers:
        content = await readers.read(_body(MESSAGES[0]))
    assert [one.state for one in content.attachments[0].signatures] == ["unknown-signer"]


def _body(data: bytes) -> Body:
    return Body(len(data), hashlib.sha256(data).digest(), data=data)


_ENTITY = b"Content-Type: text/plain\r\n\r\nKinh gui.\r\n"
_HOLDER = signers.holder(since=signers.day(2020))
MESSAGES = (
    making.message(
        files=[
            (
                "a.pdf",
                signers.sign(
                    making.pdf(),
                    _HOLDER,
                    stamped_by=signers.stamper(signers.authority(), signers.day(2026, 4)),
                ),
            )
        ]
    ),
    making.message(files=[("a.xml", signers.sign_xml("<van-ban>1</van-ban>", _HOLDER))]),
    signers.clear_signed(_ENTITY, _HOLDER),
    signers.opaque_signed(_ENTITY, _HOLDER),
)
