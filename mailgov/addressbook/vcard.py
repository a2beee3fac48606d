"""Contacts as vCard 3.0 (RFC 2426), which phones and mail programs of every age read. Pure."""

from dataclasses import dataclass

_LINE_BYTES = 75  # RFC 2426, 2.6


@dataclass(frozen=True, slots=True)
class Contact:
    """A person or an office with a mailbox."""

    uid: str
    name: str
    address: str
    agency: str
    title: str = ""
    phone: str = ""
    is_person: bool = True


def render(contact: Contact) -> str:
    """The contact as a vCard, lines folded and ended by CRLF."""
    family, given, middle = _parts(contact.name) if contact.is_person else ("", "", "")
    lines = [
        "BEGIN:VCARD",
        "VERSION:3.0",
        "PRODID:-//mailgov//address book//VI",
        f"UID:{contact.uid}",
        f"FN:{_escaped(contact.name)}",
        f"N:{_escaped(family)};{_escaped(given)};{_escaped(middle)};;",
        f"ORG:{_escaped(contact.agency)}",
        f"EMAIL;TYPE=INTERNET,PREF:{_escaped(contact.address)}",
    ]
    if contact.title:
        lines.append(f"TITLE:{_escaped(contact.title)}")
    if contact.phone:
        lines.append(f"TEL;TYPE=WORK,VOICE:{_escaped(contact.phone)}")
    if not contact.is_person:
        lines.append("X-ABSHOWAS:COMPANY")
    lines.append("END:VCARD")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _parts(name: str) -> tuple[str, str, str]:
    """Family, given and middle names: a Vietnamese name begins with the family and ends with the person's own."""
    words = name.split()
    if len(words) < 2:
        return "", name, ""
    return words[0], words[-1], " ".join(words[1:-1])


def _escaped(text: str) -> str:
    one_line = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\,;" else sign for sign in one_line)


def _folded(line: str) -> str:
    """No line over 75 bytes, none cut within a letter."""
    pieces, size = [""], 0
    for letter in line:
        width = len(letter.encode())
        if size + width > _LINE_BYTES:
            pieces.append(" ")
            size = 1
        pieces[-1] += letter
        size += width
    return "\r\n".join(pieces)
