"""Documents that nobody here has read before: how much of their header block is found."""

from collections import Counter

import pytest

from mailgov.content import read_message
from mailgov.content.vietnamese import fold
from mailgov_policies.facts import Attachment, Document

from . import making
from .decree_documents import ORDINARY, Made, documents
from .test_extract_word import docx, paragraph

FIELDS = ("type", "number", "symbol", "date", "agency", "abstract", "urgency")
WANTED = 0.95  # of the documents of each type, layout and format, by field


def _found(made: Made) -> Document | None:
    name = "van-ban." + made.name.rpartition(".")[2]
    content = read_message(making.message("Xin gửi kèm.", files=[(name, made.data)]))
    (attachment,) = content.attachments
    assert isinstance(attachment, Attachment)
    assert attachment.state == "read", (made.format, attachment.why)
    return attachment.document


def _is_right(field: str, made: Made, document: Document | None) -> bool:
    wanted = getattr(made, field)
    said = getattr(document, field) if document else ""
    return fold(str(said)) == fold(str(wanted))


def test_fields_are_found_in_every_layout_and_format() -> None:
    right: Counter[tuple[str, str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    wrong = []
    for made in documents():
        document = _found(made)
        for cut in (made.type, made.layout, made.format, "all"):
            total[cut, ""] += 1
            for field in FIELDS:
                right[cut, field, ""] += _is_right(field, made, document)
        misses = [field for field in FIELDS if not _is_right(field, made, document)]
        if misses:
            wrong.append(
                (
                    made.type,
                    made.layout,
                    made.format,
                    {f: (getattr(made, f), getattr(document, f, None)) for f in misses},
                )
            )
    print(f"\n{'':24}{'files':>6}" + "".join(f"{field:>10}" for field in FIELDS))
    for cut, _ in total:
        shares = [right[cut, field, ""] / total[cut, ""] for field in FIELDS]
        print(f"{cut:24}{total[cut, '']:6}" + "".join(f"{share:10.3f}" for share in shares))
    short = [
        (cut, field)
        for cut, _ in total
        for field in FIELDS
        if right[cut, field, ""] < WANTED * total[cut, ""]
    ]
    assert short == [], wrong[:40]


@pytest.mark.parametrize("text", ORDINARY, ids=lambda text: text.split("\n")[0][:30])
def test_what_is_no_document_is_not_taken_for_one(text: str) -> None:
    word = docx("".join(paragraph(line) for line in text.replace("&", "").split("\n")))
    for message in (making.message(text), making.message(files=[("a.docx", word)])):
        content = read_message(message)
        assert content.found is None or not content.found.is_agency_document
        assert not any(
            one.document is not None and one.document.is_agency_document
            for one in content.attachments
        )
