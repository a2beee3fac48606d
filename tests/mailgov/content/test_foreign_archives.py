"""7z, RAR, CAB and the like are opened where libarchive is there, and never taken for clean."""

import hashlib
import os
import struct
import zlib
from base64 import encodebytes

import pytest

from mailgov.config import Readers
from mailgov.content import foreign_archives, read_message
from mailgov.message import Body
from mailgov.readers import ReaderPool
from mailgov_policies.facts import Attachment

from . import making

MARKED = "Số: 7/BC-UBND\nMẬT\n".encode()
FILES = {"Hồ sơ/thư.txt": MARKED, "Hồ sơ/a.pdf": making.PROGRAM}


@pytest.fixture(scope="module", autouse=True)
def library() -> None:
    try:
        import libarchive  # noqa: F401
    except (ImportError, OSError, AttributeError, TypeError):
        if os.environ.get("CI"):
            pytest.fail("libarchive is not installed")
        pytest.skip("libarchive is not installed")


def seven_zip(files: dict[str, bytes]) -> bytes:
    import libarchive

    packed: list[bytes] = []

    def take(block: bytes) -> int:
        packed.append(bytes(block))
        return len(block)

    with libarchive.custom_writer(take, "7zip") as archive:
        for name, content in files.items():
            archive.add_file_from_memory(name, len(content), content)
    return b"".join(packed)


def _number(value: int) -> bytes:
    """A number as RAR 5 writes it: seven bits in each byte."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _block(content: bytes) -> bytes:
    sized = _number(len(content)) + content
    return struct.pack("<I", zlib.crc32(sized)) + sized


def rar5(files: dict[str, bytes]) -> bytes:
    """Files stored unpacked, by the technical note of RAR 5.0."""
    out = b"Rar!\x1a\x07\x01\0" + _block(_number(1) + _number(0) + _number(0))
    for name, content in files.items():
        path = name.encode()
        head = b"".join(map(_number, (2, 2, len(content), 4, len(content), 0o100644)))
        head += struct.pack("<I", zlib.crc32(content)) + _number(0) + _number(1)
        out += _block(head + _number(len(path)) + path) + content
    return out + _block(_number(5) + _number(0) + _number(0))


def cab(files: dict[str, bytes]) -> bytes:
    """Files stored unpacked in one folder ([MS-CAB] 2)."""
    names = [name.encode() + b"\0" for name in files]
    data = b"".join(files.values())
    entries, offset = b"", 0
    for name, content in zip(names, files.values(), strict=True):
        entries += struct.pack("<IIHHHH", len(content), offset, 0, 0, 0, 0x80) + name
        offset += len(content)
    at_files = 36 + 8
    at_data = at_files + len(entries)
    sized = struct.pack("<HH", len(data), len(data))
    block = struct.pack("<I", 0) + sized + data
    total = at_data + len(block)
    head = b"MSCF" + struct.pack(
        "<IIIIIBBHHHHH", 0, total, 0, at_files, 0, 3, 1, 1, len(files), 0, 1, 0
    )
    return head + struct.pack("<IHH", at_data, 1, 0) + entries + block


MAKERS = {"7z": seven_zip, "rar": rar5, "cab": cab}


def _attachments(data: bytes, name: str) -> dict[str, Attachment]:
    content = read_message(making.message(files=[(name, data)]))
    assert content.unscannable == ""
    return {attachment.part: attachment for attachment in content.attachments}


@pytest.mark.parametrize("kind", MAKERS)
def test_every_file_inside_is_examined(kind: str) -> None:
    message = making.message(files=[(f"ho-so.{kind}", MAKERS[kind](FILES))])
    content = read_message(message)
    found = [(a.name, a.kind, a.state, a.disguised) for a in content.attachments]
    assert found == [
        (f"ho-so.{kind}", kind, "read", False),
        ("thư.txt", "text", "read", False),
        ("a.pdf", "exe", "read", True),
    ]
    assert [(mark.value, mark.part) for mark in content.marks] == [("MẬT", "2/Hồ sơ/thư.txt")]


@pytest.mark.parametrize("kind", MAKERS)
def test_damage_is_unscannable(kind: str) -> None:
    data = MAKERS[kind](FILES)
    for damaged in (data[: len(data) * 2 // 3], data[:40] + bytes(60) + data[100:]):
        found = _attachments(damaged, f"a.{kind}")
        assert any(attachment.state == "unscannable" for attachment in found.values())


def test_a_bomb_is_named() -> None:
    found = _attachments(seven_zip({"a.txt": bytes(20 << 20)}), "a.7z")
    assert (found["2"].state, found["2"].why) == ("bomb", "unpacks to more than 100 times its size")


def test_too_many_files_are_a_bomb() -> None:
    found = _attachments(rar5({f"{n}.txt": b"" for n in range(1100)}), "a.rar")
    assert (found["2"].state, found["2"].why) == ("bomb", "more than 1000 files")


def test_depth_is_bounded() -> None:
    data = b"x"
    for _ in range(8):
        data = seven_zip({"a.7z": data})
    assert any(found.state == "bomb" for found in _attachments(data, "a.7z").values())


def test_without_the_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign_archives, "_library", lambda: None)
    found = _attachments(seven_zip(FILES), "a.7z")["2"]
    assert (found.kind, found.state) == ("7z", "unscannable")
    assert found.why == "no reader for this kind of archive: libarchive is not installed"


def test_kinds_that_nothing_reads() -> None:
    found = _attachments(b"\x60\xea" + bytes(100), "a.arj")["2"]
    assert (found.state, found.why) == ("unscannable", "no reader for this kind of archive")


async def test_behind_the_sandbox_the_facts_are_the_same() -> None:
    names = {f"ho-so.{kind}": make(FILES) for kind, make in MAKERS.items()}
    message = making.message(files=list(names.items()))
    body = Body(len(message), hashlib.sha256(message).digest(), data=message)
    async with ReaderPool(Readers(processes=1)) as pool:
        assert await pool.read(body) == read_message(message)


def test_encoded_as_sent() -> None:
    """A message as a mail program sends it: the name says nothing, the bytes do."""
    data = (
        b"From: a@b.vn\r\nContent-Type: application/octet-stream; name=so-lieu.dat\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + encodebytes(seven_zip(FILES))
    )
    assert [a.kind for a in read_message(data).attachments] == ["7z", "text", "exe"]
