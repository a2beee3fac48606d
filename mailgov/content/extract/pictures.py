"""Whether a picture in a PDF has colours, as far as its packed form tells without unpacking it."""

import pypdfium2
import pypdfium2.raw as pdfium

_WITHOUT_COLOURS = {pdfium.FPDF_COLORSPACE_DEVICEGRAY, pdfium.FPDF_COLORSPACE_CALGRAY}
_BITONAL = {"CCITTFaxDecode", "JBIG2Decode"}
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # ISO 10918-1, table B.1
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


def is_grey(image: pypdfium2.PdfImage) -> bool:
    """True for faxed pictures, and for others by their JPEG or by the colour space they are in."""
    packed_by = image.get_filters(skip_simple=True)
    if _BITONAL & {*packed_by}:
        return True
    if packed_by == ["DCTDecode"]:
        return _components(bytes(image.get_data(decode_simple=True))) == 1
    return image.get_metadata().colorspace in _WITHOUT_COLOURS


def _components(jpeg: bytes) -> int:
    """How many components a JPEG has; 0 when it can't be made out."""
    position = 2
    while position + 9 < len(jpeg) and jpeg[position] == 0xFF:
        marker = jpeg[position + 1]
        if marker in _START_OF_FRAME:
            return jpeg[position + 9]
        length = (
            0 if marker in _WITHOUT_LENGTH else int.from_bytes(jpeg[position + 2 : position + 4])
        )
        position += 2 + length
    return 0
