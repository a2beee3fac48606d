"""What a client asks for: the bodies of PROPFIND and REPORT, read within limits. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from lxml import etree

from mailgov.addressbook.answers import CARD, DAV, Element, tag
from mailgov.addressbook.vcard import Contact

MOST_PROPERTIES, MOST_HREFS, MOST_FILTERS = 100, 5_000, 20
_PARSED = ("FN", "N", "NICKNAME", "EMAIL", "ORG", "TITLE", "TEL", "UID")


class NotUnderstood(Exception):
    """The body is not what the method wants."""


class FilterNotSupported(Exception):
    """The query has a filter that is not ours (RFC 6352, 8.6)."""


Test = Callable[[Contact], bool]


@dataclass(frozen=True, slots=True)
class Propfind:
    """Properties asked for; None for all."""

    wanted: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Report:
    """A report: which, the properties asked for, and what each kind needs."""

    kind: str  # addressbook-multiget, addressbook-query, sync-collection
    wanted: tuple[str, ...] | None
    hrefs: tuple[str, ...] = ()
    sync_token: str = ""
    limit: int = 0  # 0: none
    test: Test | None = None


def parse(body: bytes) -> Element:
    """The root of a body. Raises NotUnderstood. No entity is resolved, nothing is fetched."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True
    )  # fmt: skip
    try:
        found = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as exc:
        raise NotUnderstood(str(exc)) from exc
    if found.getroottree().docinfo.doctype:
        raise NotUnderstood("a document type is not wanted")
    return found


def propfind(body: bytes) -> Propfind:
    """A PROPFIND; an empty body asks for everything (RFC 4918, 9.1). Raises NotUnderstood."""
    if not body.strip():
        return Propfind(None)
    found = parse(body)
    if found.tag != tag(DAV, "propfind"):
        raise NotUnderstood("expected propfind")
    return Propfind(_wanted(found))


def report(body: bytes) -> Report:
    """A REPORT. Raises NotUnderstood, FilterNotSupported."""
    found = parse(body)
    name = etree.QName(found)
    if name.text == tag(DAV, "sync-collection"):
        limit = found.findtext(f"{tag(DAV, 'limit')}/{tag(DAV, 'nresults')}") or "0"
        token = found.findtext(tag(DAV, "sync-token")) or ""
        if not limit.strip().isdigit():
            raise NotUnderstood("expected a number of results")
        return Report(name.localname, _wanted(found), sync_token=token.strip(), limit=int(limit))
    if name.text == tag(CARD, "addressbook-multiget"):
        hrefs = tuple(_path(one.text or "") for one in found.iterfind(tag(DAV, "href")))
        if len(hrefs) > MOST_HREFS:
            raise NotUnderstood("too many addresses")
        return Report(name.localname, _wanted(found), hrefs=hrefs)
    if name.text == tag(CARD, "addressbook-query"):
        limit = found.findtext(f"{tag(CARD, 'limit')}/{tag(CARD, 'nresults')}") or "0"
        most = int(limit) if limit.strip().isdigit() else 0
        return Report(name.localname, _wanted(found), limit=most, test=_filter(found))
    raise NotUnderstood("no report of ours")


def _path(href: str) -> str:
    return unquote(urlsplit(href.strip()).path)


def _wanted(found: Element) -> tuple[str, ...] | None:
    prop = found.find(tag(DAV, "prop"))
    if prop is None:
        return None
    names = tuple(str(one.tag) for one in prop if isinstance(one.tag, str))
    if len(names) > MOST_PROPERTIES:
        raise NotUnderstood("too many properties")
    return names


def _filter(found: Element) -> Test | None:
    element = found.find(tag(CARD, "filter"))
    if element is None:
        return None
    tests = list(_tests(element))
    if not tests:
        return None
    combine = all if element.get("test") == "allof" else any
    return lambda contact: combine(test(contact) for test in tests)


def _tests(element: Element) -> Iterator[Test]:
    children = [one for one in element if isinstance(one.tag, str)]
    if len(children) > MOST_FILTERS:
        raise NotUnderstood("too many filters")
    for one in children:
        if one.tag != tag(CARD, "prop-filter"):
            raise FilterNotSupported
        yield _property_test(one)


def _property_test(element: Element) -> Test:
    name = (element.get("name") or "").upper()
    if name not in _PARSED:
        raise FilterNotSupported
    children = [one for one in element if isinstance(one.tag, str)]
    if any(one.tag == tag(CARD, "is-not-defined") for one in children):
        return lambda contact: not _values(contact, name)
    if any(one.tag != tag(CARD, "text-match") for one in children):
        raise FilterNotSupported
    matches = [_match(one) for one in children]
    if not matches:
        return lambda contact: bool(_values(contact, name))
    combine = all if element.get("test") == "allof" else any
    return lambda contact: combine(match(_values(contact, name)) for match in matches)


def _match(element: Element) -> Callable[[str], bool]:
    """A text-match; letters are compared without case whatever the collation."""
    text, kind = (element.text or "").casefold(), element.get("match-type", "contains")
    negated = bool(element.get("negate-condition") == "yes")

    def test(value: str) -> bool:
        folded = value.casefold()
        found = {
            "equals": folded == text,
            "starts-with": folded.startswith(text),
            "ends-with": folded.endswith(text),
        }.get(kind, text in folded)
        return bool(found) != negated

    return test


def _values(contact: Contact, name: str) -> str:
    return {
        "FN": contact.name,
        "N": contact.name,
        "EMAIL": contact.address,
        "ORG": contact.agency,
        "TITLE": contact.title,
        "TEL": contact.phone,
        "UID": contact.uid,
    }.get(name, "")
