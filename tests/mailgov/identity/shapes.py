"""Messages that claim to be somebody else's, and honest ones; made the same way every time.

A forgery is a pattern (which fields, in which order) with a victim (somebody whom An is not, spelled
in one of the ways that some program reads as that person) and an own mailbox as a decoy.
"""

import base64
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ...support.directory import AN, OFFICE
from ...support.submission import ALIAS, BEHALF, BINH, CHAIR

COUNT = 2000


@dataclass(frozen=True)
class Message:
    """An envelope sender and the message."""

    name: str
    sender: str
    content: bytes


def word(text: str, encoding: str = "B", charset: str = "utf-8") -> str:
    """An encoded word (RFC 2047)."""
    octets = text.encode(charset)
    if encoding == "B":
        return f"=?{charset}?B?{base64.b64encode(octets).decode()}?="
    return f"=?{charset}?Q?{''.join(f'={octet:02X}' for octet in octets)}?="


def spelled(address: str) -> dict[str, str]:
    """Ways to write a mailbox; every one of them is that person to some program."""
    local, _, domain = address.partition("@")
    return {
        "bare": address,
        "angle": f"<{address}>",
        "named": f"Lê Văn Chủ <{address}>",
        "quoted name": f'"Lê, Văn Chủ" <{address}>',
        "encoded name": f"{word('Lê Văn Chủ')} <{address}>",
        "encoded name in Q": f"{word('Lê Văn Chủ', 'Q')} <{address}>",
        "encoded name in two": f"{word('Lê Văn')} {word(' Chủ')} <{address}>",
        "capitals": f"<{address.upper()}>",
        "mixed case": f"<{local.title()}@{domain.title()}>",
        "quoted local part": f'<"{local}"@{domain}>',
        "escaped local part": f'<"\\{local}"@{domain}>',
        "spaces around at": f"<{local} @ {domain}>",
        "tab around at": f"<{local}\t@\t{domain}>",
        "comment before": f"(An) <{address}>",
        "comment in address": f"<{local}(x)@{domain}>",
        "comment after": f"{address} (Lê Văn Chủ)",
        "nested comment": f"{address} (Lê (Văn) Chủ)",
        "folded": f"Lê Văn Chủ\r\n <{address}>",
        "folded inside": f"<{local}@\r\n {domain}>",
        "folded by a tab": f"Chủ\r\n\t<{address}>",
        "source route": f"<@{AN.partition('@')[2]}:{address}>",
        "two routes": f"<@a.test,@b.test:{address}>",
        "encoded address": f"{word(f'Chủ <{address}>')}",
        "encoded angle": f"Chủ {word(f'<{address}>')}",
        "encoded local part": f"<{word(local)}@{domain}>",
        "group": f"Lãnh đạo: {address};",
        "named group": f"Lãnh đạo: Lê Văn Chủ <{address}>;",
        "quoted group": f'"Lãnh đạo": <{address}>;',
        "dot at the end": f"<{address}.>",
        "no end": f"<{address}",
        "raw letters": f"Lê Văn Chủ <{address}>",
        "empty comment": f"()<{address}>()",
        "null words": f"=?utf-8?Q??= <{address}>",
        "mailto": f"<mailto:{address}>",
        "utf-8 charset in capitals": f"{word('Chủ', charset='UTF-8')} <{address}>",
        "dot atoms apart": f"<{local[:3]}. {local[3:]}@{domain}>",
    }


# Others whom An is not; the last two only look like An or the office.
DRAWN_ALIKE = "аnnv@sonoivu.tinhmau.test"  # the first letter is Cyrillic
VICTIMS = (
    CHAIR,
    BINH,
    "an.nv@sonoivu.tinhmau.test.evil.test",
    "annv@xn--sonoivu-9za.tinhmau.test",
    DRAWN_ALIKE,
    "annv+an@sonoivu.tinhmau.test",
    "annv@tinhmau.test",
    "vanthu@tinhmau.gov.vn",
)
FIELDS = ("From", "from", "FROM", "fRoM")


def _patterns(victim: str, field: str) -> Iterator[tuple[str, str, str]]:
    """Name, envelope sender, header. `victim` is spelled already."""
    own = f"An <{AN}>"
    yield "alone", AN, f"{field}: {victim}"
    yield "null envelope", "", f"{field}: {victim}"
    yield "beside the own", AN, f"{field}: {own}, {victim}"
    yield "before the own", AN, f"{field}: {victim}, {own}"
    yield "second field", AN, f"From: {own}\r\n{field}: {victim}"
    yield "first field", AN, f"{field}: {victim}\r\nFrom: {own}"
    yield "third field", AN, f"From: {own}\r\nFrom: {own}\r\n{field}: {victim}"
    yield "Sender own", AN, f"{field}: {victim}\r\nSender: {own}"
    yield "Sender victim", AN, f"{field}: {own}\r\nSender: {victim}"
    yield "two in Sender", AN, f"{field}: {own}\r\nSender: {own}, {victim}"
    yield "two Senders", AN, f"{field}: {own}\r\nSender: {own}\r\nSender: {victim}"
    yield "two Senders turned", AN, f"{field}: {own}\r\nSender: {victim}\r\nSender: {own}"
    yield "Resent-From", AN, f"{field}: {own}\r\nResent-From: {victim}"
    yield "Resent-Sender", AN, f"{field}: {own}\r\nResent-From: {own}\r\nResent-Sender: {victim}"
    yield "second Resent-From", AN, f"{field}: {own}\r\nResent-From: {own}\r\nResent-From: {victim}"
    yield "resent by the own", AN, f"{field}: {victim}\r\nResent-From: {own}"
    yield (
        "resent by the own, sender too",
        AN,
        (f"{field}: {victim}\r\nResent-From: {own}\r\nResent-Sender: {own}\r\nSender: {own}"),
    )
    yield "semicolon", AN, f"{field}: {own}; {victim}"
    yield "space before colon", AN, f"{field} : {victim}"
    yield "tab before colon", AN, f"{field}\t: {victim}"
    yield "no space after colon", AN, f"{field}:{victim}"
    yield "empty line of the field", AN, f"{field}:\r\n {victim}"
    yield "on behalf without Sender", AN, f"{field}: <{BEHALF}>, {victim}"
    yield "on behalf as a cover", AN, f"{field}: <{BEHALF}>, {victim}\r\nSender: {own}"
    yield "office as a cover", OFFICE, f"{field}: <{OFFICE}>, {victim}\r\nSender: <{OFFICE}>"
    yield "own in a comment", AN, f"{field}: ({AN}) {victim}"
    yield "own as a name", AN, f'{field}: "{AN}" {victim}'
    yield "after an mbox separator", AN, f"From {AN} Sat Nov 21\r\n{field}: {victim}"
    yield "own after folding white space", AN, f"{field}: {victim}\r\n ,\r\n {own}"


def _plain_patterns(victim: str) -> Iterator[tuple[str, str, str]]:
    """Patterns in which the victim's bare address stands for itself."""
    own = f"An <{AN}>"
    yield "envelope", victim, f"From: {own}"
    yield "envelope of the office's letter", victim, f"From: <{OFFICE}>"
    yield "envelope and From", victim, f"From: <{victim}>"
    yield "all fields", victim, f"From: <{victim}>\r\nSender: <{victim}>\r\nReply-To: <{victim}>"
    yield "shown in the name", AN, f'From: "{victim}" <{AN}>'
    yield "shown in an encoded name", AN, f"From: {word(victim)} <{AN}>"
    yield "shown in words", AN, f"From: {word('Chủ tịch ' + victim)} <{AN}>"
    yield "shown in Sender's name", AN, f'From: <{AN}>\r\nSender: "{victim}" <{AN}>'
    yield "shown bare before the angle", AN, f"From: {victim} <{AN}>"
    yield "shown with an angle in the name", AN, f'From: "Chủ <{victim}>" <{AN}>'
    yield "two angles", AN, f"From: <{victim}> <{AN}>"
    yield "two angles turned", AN, f"From: <{AN}> <{victim}>"
    yield "own then bare", AN, f"From: <{AN}> {victim}"
    yield "nested angles", AN, f"From: <<{victim}>{AN}>"
    yield "two at signs", AN, f"From: <{victim}@{AN.partition('@')[2]}>"
    yield "percent", AN, f"From: <{victim.replace('@', '%')}@{AN.partition('@')[2]}>"
    yield "bang", AN, f"From: <{AN.partition('@')[2]}!{victim}>"
    yield "header ended by a bare LF", AN, f"From: {own}\nFrom: <{victim}>"
    yield "header ended by a bare CR", AN, f"From: {own}\rFrom: <{victim}>"
    yield "NUL before", AN, f"From: {own}\r\n\0From: <{victim}>"
    yield "line that is no field", AN, f"From: {own}\r\nno field\r\nFrom: <{victim}>"
    yield "no From", AN, f"Sender: <{victim}>"
    yield "no address", AN, f'From: "{victim}"'
    yield "empty From", AN, f"From:\r\nSender: <{victim}>"
    yield "empty angle", AN, f"From: {victim} <>"
    yield "folded name of the field", AN, f"X: a\r\n From: x\r\nFrom: <{victim}>"
    yield "backslash before at", AN, f"From: <{victim.replace('@', chr(92) + '@')}>, <{AN}>"
    yield "8 bit around", AN, f"From: \u00a0<{victim}>"
    yield (
        "zero width in the name",
        AN,
        f"From: {word(victim.replace('@', chr(0x200B) + '@'))} <{AN}>",
    )
    yield "ideographic dots", AN, f'From: "{victim.replace(".", chr(0x3002))}" <{AN}>'
    yield "far back in the name", AN, f'From: "{"An " * 300}{victim}" <{AN}>'
    yield (
        "in UTF-7",
        AN,
        f"From: =?utf-7?Q?{victim.replace('+', '+-').replace('@', '+AEA-')}?= <{AN}>",
    )
    yield "over two words", AN, f"From: {word(victim[:6])} {word(victim[6:])} <{AN}>"
    yield "words in quotes", AN, f'From: "{word(victim)}" <{AN}>'
    yield "comment beside the own", AN, f"From: An ({victim}) <{AN}>"
    yield "angle in a comment", AN, f"From: (Chủ <{victim}>) <{AN}>"
    yield "comment left open", AN, f"From: <{AN}>, An (<{victim}>"
    yield "comment left open in Sender", AN, f"From: {own}\r\nSender: <{AN}> (<{victim}>"
    yield "comment of nobody", AN, f"From: <{AN}>, An (<{victim}>)"
    yield "comment alone", AN, f"From: <{AN}>, (<{victim}>)"
    yield "quote left open", AN, f'From: <{AN}>, "An <{victim}>'
    yield "bracket left open", AN, f"From: <{AN}>, An < {word(victim)}"
    yield "group named by an address", AN, f"From: {word(f'<{victim}>')}: <{AN}>;"
    yield "empty group named by an address", AN, f"From: <{AN}>, {word(f'<{victim}>')}:;"
    yield "two group names", AN, f"From: <{AN}>, {word(f'<{victim}>')}: nhóm:;"
    yield "full width at", AN, f"From: {word(victim.replace('@', chr(0xFF20)))} <{AN}>"


_SHOWN = (
    "shown in the name",
    "shown in an encoded name",
    "shown in words",
    "shown in Sender's name",
    "shown with an angle in the name",
    "ideographic dots",
    "far back in the name",
    "in UTF-7",
    "over two words",
    "words in quotes",
    "comment beside the own",
    "angle in a comment",
    "comment beside the own",
    "angle in a comment",
    "zero width in the name",
    "full width at",
)


def forgeries() -> list[Message]:
    """COUNT of them: each pattern, each spelling and each victim many times."""
    made: list[Message] = []
    for victim in VICTIMS:
        for pattern, sender, header in _plain_patterns(victim):
            if victim == DRAWN_ALIKE and pattern in _SHOWN:
                continue  # what is shown is drawn like An's own address, so it names nobody else
            made.append(_message(f"{pattern}: {victim}", sender, header))
    composed = []
    for victim in VICTIMS:
        for spelling, text in spelled(victim).items():
            for number, (pattern, sender, header) in enumerate(_patterns(text, "From")):
                field = FIELDS[(number + len(spelling)) % len(FIELDS)]
                name = f"{pattern}, {spelling}: {victim}"
                if field != "From":
                    (*_, (_, sender, header)) = [
                        one for one in _patterns(text, field) if one[0] == pattern
                    ]
                composed.append(_message(name, sender, header))
    random.Random(4).shuffle(composed)
    return made + composed[: COUNT - len(made)]


def _message(name: str, sender: str, header: str) -> Message:
    body = (
        "To: <binhtv@sonoivu.tinhmau.test>\r\nSubject: =?utf-8?Q?Trao_=C4=91=E1=BB=95i?=\r\n"
        "\r\nChào anh.\r\n.\r\n"
    )
    return Message(name, sender, f"{header}\r\n{body}".encode())


def honest() -> list[Message]:
    """What An may send, in all the ways that programs write it."""
    own = {
        name: text
        for name, text in spelled(AN).items()
        # As these are read, they name nobody, or An among others.
        if name
        not in (
            "escaped local part",
            "comment in address",
            "encoded address",
            "encoded angle",
            "encoded local part",
            "dot at the end",
            "no end",
            "mailto",
            "dot atoms apart",
            "source route",
            "two routes",
        )
    }
    made = []
    for name, text in own.items():
        for field in FIELDS[:2]:
            made.append((f"From {name}", AN, f"{field}: {text}"))
        made.append((f"null sender, From {name}", "", f"From: {text}"))
        made.append((f"alias envelope, From {name}", ALIAS, f"From: {text}"))
        made.append((f"Sender {name}", AN, f"From: <{AN}>\r\nSender: {text}"))
        made.append((f"on behalf, Sender {name}", AN, f"From: <{BEHALF}>\r\nSender: {text}"))
        made.append((f"Resent-From {name}", AN, f"From: <{AN}>\r\nResent-From: {text}"))
        made.append((f"Reply-To {name}", AN, f"From: <{AN}>\r\nReply-To: {text}"))
    for address in (AN, ALIAS, OFFICE):
        for sender in (AN, ALIAS, OFFICE, ""):
            made.append((f"{address} under {sender}", sender, f"From: <{address}>"))
    made += [
        ("an own address shown", AN, f'From: "{AN}" <{AN}>'),
        ("the office shown", AN, f'From: "Văn thư ({OFFICE})" <{AN}>'),
        ("two own authors", AN, f"From: <{AN}>, <{OFFICE}>\r\nSender: <{AN}>"),
        ("on behalf and own", AN, f"From: <{AN}>, <{BEHALF}>\r\nSender: <{AN}>"),
        ("answers to a colleague", AN, f"From: <{AN}>\r\nReply-To: <{BINH}>, <{CHAIR}>"),
        ("answers to another agency", AN, f"From: <{AN}>\r\nReply-To: <x@bomau.gov.vn>"),
        ("a name of another", AN, f"From: {word('Lê Văn Chủ')} <{AN}>"),
        ("a name with a comma", AN, f'From: "An, Nguyễn Văn" <{AN}>'),
        ("others in To and Cc", AN, f"From: <{AN}>\r\nCc: Chủ <{CHAIR}>, x: <{BINH}>;"),
        ("in the text", AN, f"From: <{AN}>\r\nX-From: <{CHAIR}>\r\nReferences: <a@{CHAIR}>"),
    ]
    return [_message(*one) for one in made]
