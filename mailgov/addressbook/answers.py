"""What the address book says of each of its places, in WebDAV's XML (RFC 4918, RFC 6352). Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from lxml import etree

from mailgov.addressbook.people import Book, Card

DAV, CARD, CS = "DAV:", "urn:ietf:params:xml:ns:carddav", "http://calendarserver.org/ns/"
ROOT, PRINCIPAL, HOME, BOOK = "/dav/", "/dav/me/", "/dav/books/", "/dav/books/agency/"
SYNC = "urn:mailgov:sync:"
MOST_CARD_BYTES = 65_536

Element: TypeAlias = Any  # the library has no types
Fill = Callable[[Element], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Something with an address, and its properties; those it lacks are told as missing."""

    href: str
    properties: Mapping[str, Fill]


def tag(space: str, name: str) -> str:
    """A name as lxml has it."""
    return f"{{{space}}}{name}"


def _text(value: str) -> Fill:
    def fill(element: Element) -> None:
        element.text = value

    return fill


def _href(value: str) -> Fill:
    def fill(element: Element) -> None:
        etree.SubElement(element, tag(DAV, "href")).text = value

    return fill


def _empty(*names: tuple[str, str]) -> Fill:
    def fill(element: Element) -> None:
        for space, name in names:
            etree.SubElement(element, tag(space, name))

    return fill


def _reports(element: Element) -> None:
    for space, name in (
        (CARD, "addressbook-query"), (CARD, "addressbook-multiget"), (DAV, "sync-collection"),
    ):  # fmt: skip
        supported = etree.SubElement(element, tag(DAV, "supported-report"))
        report = etree.SubElement(supported, tag(DAV, "report"))
        etree.SubElement(report, tag(space, name))


def _address_data(element: Element) -> None:
    kind = etree.SubElement(element, tag(CARD, "address-data-type"))
    kind.set("content-type", "text/vcard")
    kind.set("version", "3.0")


def _read_only(element: Element) -> None:
    for name in ("read", "read-current-user-privilege-set"):
        privilege = etree.SubElement(element, tag(DAV, "privilege"))
        etree.SubElement(privilege, tag(DAV, name))


def _common(title: str) -> dict[str, Fill]:
    return {
        tag(DAV, "displayname"): _text(title),
        tag(DAV, "current-user-principal"): _href(PRINCIPAL),
        tag(DAV, "principal-URL"): _href(PRINCIPAL),
        tag(DAV, "owner"): _href(PRINCIPAL),
        tag(DAV, "current-user-privilege-set"): _read_only,
        tag(CARD, "addressbook-home-set"): _href(HOME),
    }


def root() -> Place:
    """Where clients begin."""
    collection = {tag(DAV, "resourcetype"): _empty((DAV, "collection"))}
    return Place(ROOT, _common("mailgov") | collection)


def principal(address: str) -> Place:
    """Whoever is signed in (RFC 3744)."""
    kind = _empty((DAV, "collection"), (DAV, "principal"))
    return Place(PRINCIPAL, _common(address) | {tag(DAV, "resourcetype"): kind})


def home() -> Place:
    """Where the books are (RFC 6352, 7.1.1)."""
    collection = {tag(DAV, "resourcetype"): _empty((DAV, "collection"))}
    return Place(HOME, _common("mailgov") | collection)


def book(found: Book) -> Place:
    """The book itself."""
    return Place(
        BOOK,
        _common(found.title)
        | {
            tag(DAV, "resourcetype"): _empty((DAV, "collection"), (CARD, "addressbook")),
            tag(DAV, "supported-report-set"): _reports,
            tag(DAV, "sync-token"): _text(SYNC + found.token),
            tag(CS, "getctag"): _text(found.token),
            tag(CARD, "supported-address-data"): _address_data,
            tag(CARD, "max-resource-size"): _text(str(MOST_CARD_BYTES)),
            tag(CARD, "addressbook-description"): _text(found.title),
        },
    )


def card(found: Card) -> Place:
    """One contact."""
    return Place(
        BOOK + found.name,
        {
            tag(DAV, "getetag"): _text(found.etag),
            tag(DAV, "getcontenttype"): _text("text/vcard; charset=utf-8"),
            tag(DAV, "getcontentlength"): _text(str(len(found.text.encode()))),
            tag(DAV, "resourcetype"): _empty(),
            tag(DAV, "displayname"): _text(found.contact.name),
            tag(DAV, "current-user-privilege-set"): _read_only,
            tag(CARD, "address-data"): _text(found.text),
        },
    )


def multistatus(
    places: Iterable[Place],
    wanted: Sequence[str] | None,
    *,
    missing: Iterable[str] = (),
    sync_token: str = "",
) -> bytes:
    """207: of each place what was asked for, and what of that there is not (RFC 4918, 13).

    `wanted` None asks for everything but whole contacts; `missing` are addresses of nothing.
    """
    spaces = {"d": DAV, "card": CARD, "cs": CS}
    answer = etree.Element(tag(DAV, "multistatus"), nsmap=spaces)
    for place in places:
        response = etree.SubElement(answer, tag(DAV, "response"))
        etree.SubElement(response, tag(DAV, "href")).text = place.href
        _properties(response, place, wanted)
    for href in missing:
        response = etree.SubElement(answer, tag(DAV, "response"))
        etree.SubElement(response, tag(DAV, "href")).text = href
        etree.SubElement(response, tag(DAV, "status")).text = "HTTP/1.1 404 Not Found"
    if sync_token:
        etree.SubElement(answer, tag(DAV, "sync-token")).text = sync_token
    return bytes(etree.tostring(answer, xml_declaration=True, encoding="utf-8"))


def _properties(response: Element, place: Place, wanted: Sequence[str] | None) -> None:
    names = wanted
    if names is None:
        names = [name for name in place.properties if name != tag(CARD, "address-data")]
    there = [name for name in names if name in place.properties]
    absent = [name for name in names if name not in place.properties]
    for status, chosen in (("200 OK", there), ("404 Not Found", absent)):
        if not chosen and (there or status != "200 OK"):
            continue
        propstat = etree.SubElement(response, tag(DAV, "propstat"))
        prop = etree.SubElement(propstat, tag(DAV, "prop"))
        for name in chosen:
            element = etree.SubElement(prop, name)
            if name in place.properties:
                place.properties[name](element)
        etree.SubElement(propstat, tag(DAV, "status")).text = f"HTTP/1.1 {status}"


def error(space: str, name: str) -> bytes:
    """A precondition that does not hold (RFC 4918, 16)."""
    answer = etree.Element(tag(DAV, "error"), nsmap={"d": DAV, "card": CARD})
    etree.SubElement(answer, tag(space, name))
    return bytes(etree.tostring(answer, xml_declaration=True, encoding="utf-8"))
