"""Aggregate reports of others (RFC 7489, Appendix C; RFC 9990): XML of strangers, read with care.

No entity is expanded, nothing is fetched, a document type is refused. Names count without their
namespace, and what is not known is passed over: reporters differ.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from lxml import etree

from mailgov.addresses import parse_domain
from mailgov.errors import InputError

MAX_SIGNS = 255
_MAX_RESULTS = 20
_RESULTS = frozenset({"pass", "fail"})
_DISPOSITIONS = frozenset({"none", "quarantine", "reject"})
_POLICY_TAGS = ("p", "sp", "np", "adkim", "aspf", "pct", "fo", "testing")


def read_dmarc(data: bytes, max_rows: int) -> dict[str, Any]:
    """The report as plain values. Raises InputError `report-not-valid`."""
    try:
        return _read(_root(data), max_rows)
    except (etree.XMLSyntaxError, ValueError, OverflowError, OSError) as exc:
        raise InputError("report-not-valid", reason=type(exc).__name__) from exc
    except InputError as exc:
        raise InputError("report-not-valid", reason=exc.code) from exc


def _root(data: bytes) -> Any:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        huge_tree=False, recover=True, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    root = etree.fromstring(data, parser)
    if root is None or _name(root) != "feedback":
        raise ValueError("no report")
    if root.getroottree().docinfo.doctype:
        raise ValueError("document type")
    return root


def _read(root: Any, max_rows: int) -> dict[str, Any]:
    about, published = _child(root, "report_metadata"), _child(root, "policy_published")
    span = _child(about, "date_range")
    begins, ends = _moment(_text(span, "begin")), _moment(_text(span, "end"))
    rows: list[dict[str, Any]] = []
    for record in _children(root, "record"):
        if len(rows) >= max_rows:
            break
        rows.append(_row(record))
    policy = {tag: _text(published, tag) for tag in _POLICY_TAGS}
    report_id = _text(about, "report_id")
    if not report_id:
        raise ValueError("no report id")
    return {
        "organisation": _text(about, "org_name"),
        "contact": _text(about, "email"),
        "report_id": report_id,
        "domain": parse_domain(_text(published, "domain")),
        "begins_at": begins,
        "ends_at": ends,
        "policy": {tag: value for tag, value in policy.items() if value},
        "rows": rows,
    }


def _row(record: Any) -> dict[str, Any]:
    row, names = _child(record, "row"), _child(record, "identifiers")
    evaluated = _child(row, "policy_evaluated")
    results = _child(record, "auth_results")
    return {
        "source": _text(row, "source_ip"),
        "count": _count(_text(row, "count")),
        "disposition": _of(_text(evaluated, "disposition"), _DISPOSITIONS, "none"),
        "dkim": _of(_text(evaluated, "dkim"), _RESULTS, "fail"),
        "spf": _of(_text(evaluated, "spf"), _RESULTS, "fail"),
        "header_from": _text(names, "header_from").lower(),
        "envelope_from": _text(names, "envelope_from").lower(),
        "auth": {
            "dkim": _found(results, "dkim", ("domain", "selector", "result")),
            "spf": _found(results, "spf", ("domain", "scope", "result")),
        },
    }


def _found(results: Any, kind: str, tags: tuple[str, ...]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for one in _children(results, kind):
        if len(found) < _MAX_RESULTS:
            found.append({tag: _text(one, tag) for tag in tags})
    return found


def _name(element: Any) -> str:
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def _children(parent: Any, name: str) -> Iterator[Any]:
    if parent is not None:
        yield from (child for child in parent if _name(child) == name)


def _child(parent: Any, name: str) -> Any:
    return next(_children(parent, name), None)


def _text(parent: Any, name: str) -> str:
    child = _child(parent, name)
    text = child.text if child is not None and isinstance(child.text, str) else ""
    return "".join(sign for sign in text if sign.isprintable()).strip()[:MAX_SIGNS]


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise ValueError(text)
    return int(text)


def _of(text: str, known: frozenset[str], default: str) -> str:
    return text.lower() if text.lower() in known else default


def _moment(text: str) -> datetime:
    if not re.fullmatch(r"[0-9]{1,11}(\.[0-9]+)?", text):
        raise ValueError(text)
    return datetime.fromtimestamp(int(text.partition(".")[0]), UTC)
