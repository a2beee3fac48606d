"""A writer of compound files and of the records in them, for tests of the readers."""

import struct
from collections.abc import Sequence

_SECTOR = 512
_FREE, _END, _FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
_NO_ENTRY = 0xFFFFFFFF


def compound(streams: dict[str, bytes]) -> bytes:
    """A compound file (MS-CFB) of these streams, each padded with zeros beyond the mini stream."""
    padded = {name: data.ljust(4096, b"\0") for name, data in streams.items()}
    fat: list[int] = []
    body = b""
    starts = []
    for data in padded.values():
        count = -(-len(data) // _SECTOR)
        starts.append(len(fat))
        fat += [*range(len(fat) + 1, len(fat) + count), _END]
        body += data.ljust(count * _SECTOR, b"\0")
    directory = _entry("Root Entry", 5, child=1, right=_NO_ENTRY, start=_END, size=0)
    for index, (name, data) in enumerate(padded.items()):
        right = index + 2 if index + 1 < len(padded) else _NO_ENTRY
        directory += _entry(name, 2, _NO_ENTRY, right, starts[index], len(data))
    count = -(-len(directory) // _SECTOR)
    first_directory = len(fat)
    fat += [*range(len(fat) + 1, len(fat) + count), _END]
    body += directory.ljust(count * _SECTOR, b"\0")
    first_fat = len(fat)
    fat_sectors = -(-(len(fat) + 1) // 127)
    fat += [_FAT] * fat_sectors
    table = b"".join(struct.pack("<I", value) for value in fat).ljust(
        fat_sectors * _SECTOR, b"\xff"
    )
    header = struct.pack("<8s16xHHHHH6xIIIIIIIII", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                         0x3E, 3, 0xFFFE, 9, 6, 0, fat_sectors, first_directory, 0, 4096, _END, 0, _END, 0)  # fmt: skip
    difat = [first_fat + index for index in range(fat_sectors)]
    header += b"".join(struct.pack("<I", value) for value in (difat + [_FREE] * 109)[:109])
    return header + body + table


def _entry(name: str, kind: int, child: int, right: int, start: int, size: int) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    return (
        encoded.ljust(64, b"\0")
        + struct.pack("<HBBIII", len(encoded), kind, 1, _NO_ENTRY, right, child)
        + bytes(36)
        + struct.pack("<IQ", start, size)
    )


def record(number: int, data: bytes) -> bytes:
    """A record of an Excel workbook."""
    return struct.pack("<HH", number, len(data)) + data


def workbook(records: Sequence[bytes], *, version: int = 0x0600, sheet: str = "Nhân sự") -> bytes:
    """An xls file: fonts and strings first, then one sheet with the rest.

    `records` before the first cell belong to what all sheets share; they are told apart by the empty
    record between them.
    """
    split = records.index(b"")
    common = b"".join(records[:split])
    if version == 0x0600:
        name = struct.pack("<BB", len(sheet), 1) + sheet.encode("utf-16-le")
    else:
        name = struct.pack("<B", len(sheet)) + sheet.encode("cp1252")
    begin = record(0x0809, struct.pack("<HH4x", version, 5))
    end = record(0x000A, b"")
    position = len(begin) + len(record(0x0085, bytes(6) + name)) + len(common) + len(end)
    bound = record(0x0085, struct.pack("<IH", position, 0) + name)
    of_sheet = record(0x0809, struct.pack("<HH4x", version, 16)) + b"".join(records[split + 1 :])
    stream = begin + bound + common + end + of_sheet + end
    return compound({"Workbook" if version == 0x0600 else "Book": stream})
