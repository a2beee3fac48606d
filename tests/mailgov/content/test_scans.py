"""Scans: PDF files of pictures without text."""

import zlib

import pytest

from mailgov.content.extract import extract
from mailgov_policies import ScannedPages


def _scan(
    dots: tuple[int, int],
    version: str = "1.4",
    shown: str = "720 0 0 1008 0 0 cm",
    packed: tuple[str, bytes] | None = None,
) -> bytes:
    """One page of 10 by 14 inches, with a picture of so many dots on it."""
    packed = packed or ("FlateDecode", zlib.compress(b"\x80" * (dots[0] * dots[1])))
    method, picture = packed
    drawing = f"q {shown} /I Do Q".encode()
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 720 1008]/Contents 4 0 R"
        b"/Resources<</XObject<</I 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawing), drawing),
        b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray"
        b"/BitsPerComponent 8/Filter/%s/Length %d>>stream\n%s\nendstream"
        % (*dots, method.encode(), len(picture), picture),
    ]
    data, places = f"%PDF-{version}\n".encode(), []
    for number, text in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj%sendobj\n" % (number, text)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % len(data)
    return data + b"xref\n0 6\n0000000000 65535 f \n" + table + end


@pytest.mark.parametrize(
    ("data", "scan"),
    [
        (_scan((2000, 2800)), ScannedPages("1.4", 1, 200, grey=True, width_mm=254, height_mm=356)),
        (
            _scan((960, 1344), "1.3"),
            ScannedPages("1.3", 1, 96, grey=True, width_mm=254, height_mm=356),
        ),
        (_scan((960, 2800)), ScannedPages("1.4", 1, 96, grey=True, width_mm=254, height_mm=356)),
        (
            _scan((10, 10), shown="0 0 0 0 0 0 cm"),
            ScannedPages("1.4", 1, 0, width_mm=254, height_mm=356),
        ),
    ],
    ids=["fine", "coarse and old", "coarse across", "a picture without size"],
)
def test_a_scan_is_measured(data: bytes, scan: ScannedPages) -> None:
    extracted = extract("pdf", data)
    assert not extracted.has_text
    assert extracted.scan == scan


def _jpeg(components: int) -> bytes:
    """The beginning of a JPEG, which tells its size and components."""
    frame = b"\xff\xc0" + (8 + 3 * components).to_bytes(2) + b"\x08\x00\x64\x00\x64"
    return b"\xff\xd8\xff\xe0\x00\x04ab" + frame + bytes([components]) + b"\1\x11\0" * components


@pytest.mark.parametrize(
    ("method", "picture", "grey"),
    [
        ("DCTDecode", _jpeg(1), True),
        ("DCTDecode", _jpeg(3), False),
        ("DCTDecode", b"\xff\xd8\xff", False),
        ("CCITTFaxDecode", b"\0", True),
        ("FlateDecode", zlib.compress(b"\0" * 10_000), True),
    ],
    ids=["grey photograph", "photograph", "damaged photograph", "fax", "by its colour space"],
)
def test_a_picture_without_colours_is_known_by_its_form(
    method: str, picture: bytes, grey: bool
) -> None:
    scan = extract("pdf", _scan((100, 100), packed=(method, picture))).scan
    assert scan is not None
    assert scan.grey is grey
