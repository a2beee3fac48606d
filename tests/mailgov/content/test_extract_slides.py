"""Text of pptx, odp and ppt."""

import struct

import pytest

from mailgov.content.extract import Run, Unreadable, extract
from mailgov.content.extract.ppt_style import character_fonts

from .compound import compound
from .making import zipped

TYPES = "application/vnd.openxmlformats-officedocument.presentationml"


def slide(*paragraphs: str) -> str:
    return f'<p:sld xmlns:p="p" xmlns:a="a">{"".join(f"<a:p>{text}</a:p>" for text in paragraphs)}</p:sld>'


def test_pptx() -> None:
    data = zipped(
        {
            "[Content_Types].xml": f'<Types><Override PartName="/ppt/presentation.xml" '
            f'ContentType="{TYPES}.presentation.main+xml"/></Types>',
            "ppt/presentation.xml": '<p:presentation xmlns:p="p" xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="b"/>'
            '<p:sldId id="257" r:id="a"/></p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": '<Relationships><Relationship Id="a" Target="slides/1.xml"/>'
            '<Relationship Id="b" Target="/ppt/slides/2.xml"/></Relationships>',
            "ppt/slides/1.xml": slide("<a:r><a:t>cuối</a:t></a:r>"),
            "ppt/slides/2.xml": slide(
                '<a:r><a:rPr><a:latin typeface="VNI-Times"/></a:rPr><a:t>Ñoäc</a:t></a:r><a:br/>'
                "<a:r><a:t>lập</a:t></a:r>",
                '<a:fld><a:rPr><a:latin typeface="+mn-lt"/></a:rPr><a:t>3</a:t></a:fld>',
            ),
            "ppt/slides/_rels/2.xml.rels": '<Relationships><Relationship Id="n" Type="x/notesSlide" '
            'Target="../notes.xml"/></Relationships>',
            "ppt/notes.xml": slide("<a:r><a:t>ghi chú</a:t></a:r>"),
        }
    )
    assert extract("pptx", data).runs == (
        Run("Ñoäc\n", "slide 1", "VNI-Times"),
        Run("lập\n3", "slide 1"),
        Run("ghi chú", "notes 1"),
        Run("cuối", "slide 2"),
    )


def test_odp() -> None:
    content = """<d xmlns:draw="d" xmlns:text="t" xmlns:presentation="p"><draw:page><draw:text-box>
        <text:p>một</text:p><text:p>hai</text:p></draw:text-box><presentation:notes><text:p>ghi chú</text:p>
        </presentation:notes></draw:page><draw:page><text:p>ba</text:p></draw:page></d>"""
    assert [
        (run.place, run.text) for run in extract("odp", zipped({"content.xml": content})).runs
    ] == [
        ("slide 1", "một\nhai"),
        ("notes 1", "ghi chú"),
        ("slide 2", "ba"),
    ]


def atom(kind: int, data: bytes, instance: int = 0) -> bytes:
    return struct.pack("<HHI", instance << 4, kind, len(data)) + data


def container(kind: int, *parts: bytes, instance: int = 0) -> bytes:
    data = b"".join(parts)
    return struct.pack("<HHI", instance << 4 | 0xF, kind, len(data)) + data


# Paragraph properties of 8 characters with alignment, then 3 characters in font 1, 5 in the master's.
STYLES = (
    struct.pack("<IHIH", 8, 0, 0x0800, 1)
    + struct.pack("<IIHHH", 3, 0x030001, 1, 1, 18)
    + struct.pack("<II", 5, 0)
)


def presentation() -> bytes:
    """Two saves: the first has an older slide."""
    fonts = [
        atom(0x0FB7, name.encode("utf-16-le").ljust(68, b"\0")) for name in ("Arial", "VNI-Times")
    ]
    slide_text = container(0x03EE, container(0x040C, atom(0x0FA8, b"kh\xf4ng d\xe1u")))
    old = container(0x03EE, atom(0x0FA8, b"old"))
    outline = container(
        0x0FF0,
        atom(0x03F3, struct.pack("<I", 2)),
        atom(0x0FA0, "Tæng\rsè".encode("utf-16-le")),
        atom(0x0FA1, STYLES),
    )
    masters = container(
        0x0FF0, atom(0x03F3, struct.pack("<I", 9)), atom(0x0FA8, b"master"), instance=1
    )
    document = container(0x03E8, container(0x07D5, *fonts), masters, outline)
    stream = document + old + slide_text
    positions = [0, len(document), len(document) + len(old)]
    first = len(stream)
    stream += atom(0x1772, struct.pack("<III", 1 | 2 << 20, positions[0], positions[1]))
    stream_edit = len(stream)
    stream += atom(0x0FF5, struct.pack("<IIIIIIHH", 0, 0, 0, first, 1, 3, 0, 0))
    second = len(stream)
    stream += atom(0x1772, struct.pack("<II", 2 | 1 << 20, positions[2]))
    last = len(stream)
    stream += atom(0x0FF5, struct.pack("<IIIIIIHH", 0, 0, stream_edit, second, 1, 3, 0, 0))
    return compound({"Current User": user(last), "PowerPoint Document": stream})


def user(position: int, token: int = 0xE391C05F) -> bytes:
    return atom(0x0FF6, struct.pack("<III", 20, token, position))


def test_ppt() -> None:
    assert extract("ppt", presentation()).runs == (
        Run("Tæn", "slide 1", "VNI-Times"),
        Run("g\nsè\nkhông dáu", "slide 1"),
    )


def test_ppt_that_can_not_be_read() -> None:
    with pytest.raises(Unreadable, match="encrypted"):
        extract("ppt", compound({"Current User": user(0, 0xF3D1C4DF), "PowerPoint Document": b""}))
    with pytest.raises(Unreadable, match="damaged"):
        extract("ppt", compound({"Current User": user(99), "PowerPoint Document": bytes(200)}))


def test_styles_that_end_early() -> None:
    assert character_fonts(STYLES, 7) == [1, 1, 1, None, None, None, None]
    assert character_fonts(STYLES[:-3], 7) == [1, 1, 1, None, None, None, None]
    assert character_fonts(b"", 2) == [None, None]
