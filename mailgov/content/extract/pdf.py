"""PDF: the text layer with its fonts, through PDFium.

PDFium also tells the font of each character, so that headings in capitals fonts are known as such.
"""

import ctypes
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from threading import Lock

import pypdfium2
import pypdfium2.raw as pdfium

from mailgov.content.extract.collector import Collector
from mailgov.content.extract.pictures import is_grey
from mailgov.content.fonts import font_family
from mailgov.content.runs import Extracted, Unreadable
from mailgov_policies.facts import ScannedPages

MAX_PAGES = 5000
_SCAN_PAGES, _SCAN_PICTURES = 3, 20  # looked at for the resolution of a scan
_POINTS_PER_INCH = 72
_POINTS_PER_MM = _POINTS_PER_INCH / 25.4
_FONT_NAME_BYTES = 128
# A hyphen at a line end, where PDFium joins the lines. In TCVN3 it is the letter of code AD.
_JOINED_LINES = "\ufffe"
_LINE = re.compile("[^\n\ufffe]+[\n\ufffe]?")
_WORD = re.compile(r"\S+\s*")
FontAt = Callable[[int], str]

_one_at_a_time = Lock()  # PDFium is not safe for threads


def read_pdf(data: bytes) -> Extracted:
    """Runs of each page, one line of the page to a line; places are `page 1` onwards.

    A scan has no text: `has_text` is False. Raises Unreadable, also for a file that needs a password.
    """
    with _one_at_a_time:
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as exc:
            # The code may be left over from an earlier file, so the file itself must say so too.
            if exc.err_code == pdfium.FPDF_ERR_PASSWORD and b"/Encrypt" in data:
                raise Unreadable("encrypted", "encrypted") from exc
            raise Unreadable("damaged pdf") from exc
        try:
            return _read(document)
        finally:
            document.close()


def _read(document: pypdfium2.PdfDocument) -> Extracted:
    count = len(document)
    if not count:
        raise Unreadable("damaged pdf: no pages")
    if count > MAX_PAGES:
        raise Unreadable("more pages than allowed", "bomb")
    collector = Collector()
    for index in range(count):
        page = document[index]
        text_page = page.get_textpage()
        try:
            _read_page(text_page, f"page {index + 1}", collector)
        finally:
            text_page.close()
            page.close()
    extracted = collector.result()
    return extracted if extracted.has_text else replace(extracted, scan=_scanned(document))


def first_page_mm(data: bytes) -> tuple[int, int]:
    """Width and height of the first page as it is shown. Raises PdfiumError."""
    with _one_at_a_time:
        document = pypdfium2.PdfDocument(data)
        try:
            return _size_mm(document)
        finally:
            document.close()


def _size_mm(document: pypdfium2.PdfDocument) -> tuple[int, int]:
    width, height = document.get_page_size(0)
    return round(width / _POINTS_PER_MM), round(height / _POINTS_PER_MM)


def _scanned(document: pypdfium2.PdfDocument) -> ScannedPages:
    version = document.get_version() or 0
    looked_at = range(min(len(document), _SCAN_PAGES))
    found = [picture for index in looked_at if (picture := _picture(document, index))[0]]
    width_mm, height_mm = _size_mm(document)
    return ScannedPages(
        version=f"{version // 10}.{version % 10}",
        pages=len(document),
        dpi=min((dpi for dpi, _ in found), default=0),
        grey=any(grey for _, grey in found),
        width_mm=width_mm,
        height_mm=height_mm,
    )


def _picture(document: pypdfium2.PdfDocument, index: int) -> tuple[int, bool]:
    """Of the largest picture on the page: dots per inch as it is shown, 0 for none; whether grey."""
    page = document[index]
    largest, dpi, grey = 0.0, 0, False
    try:
        images = page.get_objects(filter=(pdfium.FPDF_PAGEOBJ_IMAGE,), max_depth=2)
        for image in islice(images, _SCAN_PICTURES):
            left, bottom, right, top = image.get_bounds()
            width, height = right - left, top - bottom
            if width * height > largest:
                largest = width * height
                across, down = image.get_px_size()
                dpi = round(min(across / width, down / height) * _POINTS_PER_INCH)
                grey = is_grey(image)
    except pypdfium2.PdfiumError:
        return 0, False  # a picture that can't be measured says nothing
    finally:
        page.close()
    return dpi, grey


def _read_page(text_page: pypdfium2.PdfTextPage, place: str, collector: Collector) -> None:
    text = text_page.get_text_range(errors="replace").replace("\0", " ")
    font_at = _font_finder(text_page, len(text))
    lines = [(match.start(), match.group()) for match in _LINE.finditer(text)]
    ends = [_fonts_at_ends(line, start, font_at) for start, line in lines]
    by_word = any(font_family(font).capitals for pair in ends for font in pair)
    for (start, line), (first, last) in zip(lines, ends, strict=True):
        line = line.rstrip("\r\n").replace(_JOINED_LINES, "\u00ad")
        if by_word or first != last:
            for word in _WORD.finditer(line):
                collector.add(word.group(), place, font_at(start + word.start()))
        else:
            collector.add(line, place, first)
        collector.end_line()


def _fonts_at_ends(line: str, start: int, font_at: FontAt) -> tuple[str, str]:
    """Fonts of the first and the last visible character; most lines have one font."""
    visible = line.strip()
    first = line.find(visible)
    return font_at(start + first), font_at(start + first + max(len(visible) - 1, 0))


def _font_finder(text_page: pypdfium2.PdfTextPage, length: int) -> FontAt:
    """A function from an index in the text of the page to the name of the font there."""
    shifted = length != text_page.count_chars()  # characters were left out or added
    buffer = ctypes.create_string_buffer(_FONT_NAME_BYTES)
    flags = ctypes.c_int()

    def font_at(index: int) -> str:
        if shifted:
            index = pdfium.FPDFText_GetCharIndexFromTextIndex(text_page, index)
        size = pdfium.FPDFText_GetFontInfo(text_page, index, buffer, _FONT_NAME_BYTES, flags)
        if not 0 < size <= _FONT_NAME_BYTES:
            return ""
        return buffer.raw[: size - 1].decode("utf-8", "replace")

    return font_at
