"""Archives are opened within limits, and bombs are named."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from mailgov.content import read_message
from mailgov.content.archives import ArchiveLimits, Bomb, Budget, unpack_stream, zip_members
from mailgov_policies.facts import Attachment

from . import making


def _attachments(data: bytes, name: str = "ho-so.zip") -> dict[str, Attachment]:
    content = read_message(making.message(files=[(name, data)]))
    assert content.unscannable == ""
    return {attachment.part: attachment for attachment in content.attachments}


def _encrypted(data: bytes) -> bytes:
    """The same ZIP with the flag of encryption set in both headers (APPNOTE 4.4.4)."""
    changed = bytearray(data)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = changed.find(magic)
        changed[at + offset] |= 1
    return bytes(changed)


def test_every_file_inside_is_examined() -> None:
    found = _attachments(making.zipped({"ho so/thu.docx": making.docx(), "a.exe": making.PROGRAM}))
    assert {part: item.kind for part, item in found.items()} == {
        "2": "zip",
        "2/ho so/thu.docx": "docx",
        "2/a.exe": "exe",
    }
    assert found["2/ho so/thu.docx"].name == "thu.docx"


def test_archives_within_archives() -> None:
    inner = making.zipped({"b.zip": making.zipped({"c.exe": making.PROGRAM})})
    found = _attachments(inner)
    assert found["2/b.zip/c.exe"].kind == "exe"


def test_two_archives_in_one_file_are_not_taken_for_the_last() -> None:
    bad, good = making.zipped({"a.exe": making.PROGRAM}), making.zipped({"a.txt": "xin chào"})
    within_its_comment = bad[:-2] + len(good).to_bytes(2, "little") + good
    for data in (bad + good, within_its_comment):
        found = _attachments(data)["2"]
        assert (found.state, found.why) == ("unscannable", "two archives in one file")
    assert _attachments(b"stub" * 50 + bad)["2/a.exe"].kind == "exe"


def _without_entry(data: bytes, number: int) -> bytes:
    """The same ZIP with one file left out of its directory, its bytes still there."""
    directory = zipfile.ZipFile(io.BytesIO(data)).start_dir
    entries = [b"PK\x01\x02" + one for one in data[directory:-22].split(b"PK\x01\x02")[1:]]
    del entries[number]
    listed = b"".join(entries)
    count = len(entries).to_bytes(2, "little")
    end = data[-22:-14] + count * 2 + len(listed).to_bytes(4, "little") + data[-6:]
    return data[:directory] + listed + end


@pytest.mark.parametrize("number", [1, 2])
def test_a_file_that_the_directory_does_not_name(number: int) -> None:
    whole = making.zipped({"a.txt": "xin chào", "b.exe": making.PROGRAM, "c.exe": making.PROGRAM})
    found = _attachments(_without_entry(whole, number))["2"]
    assert (found.state, found.why) == ("unscannable", "file that the directory does not name")
    first = _attachments(_without_entry(whole, 0))["2"]
    assert (first.state, first.why) == ("unscannable", "two archives in one file")


def test_the_same_in_an_office_file() -> None:
    found = _attachments(_without_entry(making.docx(more={"word/a.xml": "<a/>"}), 3), "thu.docx")
    assert found["2"].state == "unscannable"


def test_files_that_overlap_are_a_bomb() -> None:
    data = making.zipped({"a.txt": "a" * 500, "b.txt": "b" * 500}, zipfile.ZIP_STORED)
    archive = zipfile.ZipFile(io.BytesIO(data))
    sizes = archive.start_dir - 30 - len("a.txt")
    entry = archive.start_dir + 20  # packed and unpacked size of the first file
    data = data[:entry] + sizes.to_bytes(4, "little") * 2 + data[entry + 8 :]
    assert _attachments(data)["2"].why == "files that overlap"


@pytest.mark.parametrize(("offset", "value"), [(8, b"\x08\0"), (6, b"\x01\0")])
def test_a_file_whose_header_says_otherwise(offset: int, value: bytes) -> None:
    data = making.zipped({"a.txt": "a" * 500}, zipfile.ZIP_STORED)
    data = data[:offset] + value + data[offset + 2 :]
    assert _attachments(data)["2"].why == "file with two readings"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_one_name() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "xin chào")
        archive.writestr("a.txt", making.PROGRAM)
    assert _attachments(packed.getvalue())["2"].why == "two files of one name"


def test_depth_is_bounded() -> None:
    data = making.zipped({"a.txt": b"x"})
    for _ in range(7):
        data = making.zipped({"a.zip": data})
    found = _attachments(data)
    assert [item.why for item in found.values() if item.state == "bomb"] == [
        "archives nested more than 5 deep"
    ]


def test_a_file_of_zeros() -> None:
    found = _attachments(making.zipped({"so-lieu.csv": bytes(20 << 20)}))
    assert (found["2"].state, found["2"].why) == ("bomb", "unpacks to more than 100 times its size")


def test_a_sheet_of_like_rows_is_no_bomb() -> None:
    rows = "<row><c><v>0</v></c></row>" * 200_000
    data = making.docx(more={"word/settings.xml": f"<s>{rows}</s>"})
    assert _attachments(data, "a.docx")["2"].state == "read"


def test_many_files() -> None:
    found = _attachments(making.zipped({f"{n}.txt": b"x" for n in range(1100)}))
    assert (found["2"].state, found["2"].why) == ("bomb", "more than 1000 files")


def test_a_directory_larger_than_any_honest_one_is_not_even_read() -> None:
    data = making.zipped({f"{n}" * 200: b"" for n in range(3000)}, zipfile.ZIP_STORED)
    assert _attachments(data)["2"].state == "bomb"


def test_sizes_add_up_over_the_message() -> None:
    budget = Budget(ArchiveLimits(total_bytes=3000))
    data = making.zipped({"a": bytes(2000)}, zipfile.ZIP_STORED)
    assert [member.size_bytes for member in zip_members(data, budget)] == [2000]
    with pytest.raises(Bomb):
        list(zip_members(data, budget))


def test_a_zip_with_a_password() -> None:
    found = _attachments(_encrypted(making.zipped({"a.docx": b"x" * 50})))
    assert (found["2"].state, found["2/a.docx"].state) == ("encrypted", "encrypted")


def test_a_zip_cut_short() -> None:
    found = _attachments(making.zipped({"a.docx": making.docx()})[:-40])
    assert (found["2"].kind, found["2"].state) == ("zip", "unscannable")


def test_a_damaged_file_in_a_zip_is_named_and_the_others_are_read() -> None:
    data = bytearray(
        making.zipped({"a.txt": b"x" * 50, "b.exe": making.PROGRAM}, zipfile.ZIP_STORED)
    )
    data[data.find(b"x" * 50)] ^= 0xFF
    found = _attachments(bytes(data))
    assert found["2/a.txt"].state == "unscannable"
    assert found["2/b.exe"].kind == "exe"


def test_names_in_utf8_without_the_flag() -> None:
    data = making.zipped({"AAAAAA.txt": b"x"}).replace(b"AAAAAA", "Mậtx".encode())
    assert _attachments(data)["2/Mậtx.txt"].name == "Mậtx.txt"


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.exe.gz", gzip.compress),
        ("a.exe.bz2", bz2.compress),
        ("a.exe.xz", lzma.compress),
    ],
)
def test_packed_streams(name: str, pack: object) -> None:
    assert callable(pack)
    found = _attachments(pack(making.PROGRAM), name)
    assert found["2/a.exe"].kind == "exe"


def test_a_stream_of_zeros() -> None:
    budget = Budget()
    with pytest.raises(Bomb):
        unpack_stream("gz", gzip.compress(bytes(64 << 20)), budget)
    assert budget.unpacked_bytes < 8 << 20  # of 64


def test_streams_in_a_row_are_all_read() -> None:
    data = gzip.compress(b"a") + gzip.compress(b"b")
    assert unpack_stream("gz", data, Budget()) == b"ab"


def test_a_tar_within_gz() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo("thu-muc/a.exe")
        entry.size = len(making.PROGRAM)
        archive.addfile(entry, io.BytesIO(making.PROGRAM))
    found = _attachments(packed.getvalue(), "a.tgz")
    assert found["2/a.tar/thu-muc/a.exe"].kind == "exe"


@pytest.mark.parametrize(
    ("name", "magic"),
    [("a.7z", b"7z\xbc\xaf\x27\x1c"), ("a.rar", b"Rar!\x1a\x07\0"), ("a.cab", b"MSCF")],
)
def test_what_nobody_opens_is_never_clean(name: str, magic: bytes) -> None:
    found = _attachments(magic + bytes(100), name)["2"]
    assert (found.state, found.disguised) == ("unscannable", False)


def test_marks_in_names_and_texts_inside_count() -> None:
    data = making.zipped({"[TỐI MẬT] a.docx": making.docx(["Số: 07/BC-UBND", "MẬT"])})
    content = read_message(making.message(files=[("a.zip", data)]))
    assert {(mark.value, mark.part) for mark in content.marks if mark.certain} == {
        ("TỐI MẬT", "2/[TỐI MẬT] a.docx"),
        ("MẬT", "2/[TỐI MẬT] a.docx"),
    }
