"""What is known of a message: the only thing that rules see.

Facts are frozen and plain, so that they can be cached by content, stored, replayed under another
ruleset and read by conditions in a ruleset file. `Content` comes from the bytes alone and is equal
for equal bytes; `Envelope` comes from the session and the directory.
"""

from dataclasses import dataclass
from typing import Literal

Encoding = Literal[
    "unicode",
    "unicode-nfd",
    "tcvn3",
    "tcvn5712-vn1",
    "vni-win",
    "vps",
    "viscii",
    "viqr",
    "cp1258",
    "utf8-as-cp1252",
]
MarkKind = Literal["secrecy", "urgency", "circulation"]
AuthResult = Literal["pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"]
DmarcOverride = Literal["", "local-policy", "trusted-forwarder"]
SignatureState = Literal[
    "valid",  # unchanged, by a signer we trust, with a certificate in force when it signed
    "invalid",  # the content or the signature is not what was signed, or can't be made out
    "unknown-signer",  # unchanged, but no trusted root vouches for the certificate
    "expired",  # unchanged and known, but the certificate was not in force at the time
    "covers-not-whole-file",  # parts of what is shown were never signed
    "altered-after-signing",  # changed later in a way that the signature does not permit
    "unknown",  # of a form or strength that can't be checked
]


@dataclass(frozen=True, slots=True)
class Person:
    """A mailbox named in a header field: display name and address, `local@domain` in lower case."""

    name: str
    address: str
    claims: tuple[str, ...] = ()  # other addresses that stand in the display name

    @property
    def domain(self) -> str:
        """The part after the last @."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Header:
    """Header fields that rules need, decoded."""

    subject: str = ""
    from_: tuple[Person, ...] = ()
    sender: Person | None = None
    reply_to: tuple[Person, ...] = ()
    to: tuple[Person, ...] = ()
    cc: tuple[Person, ...] = ()
    resent_from: tuple[Person, ...] = ()  # Resent-From and Resent-Sender
    message_id: str = ""
    date: str = ""  # RFC 3339; empty when missing or not a date
    from_fields: int = 1  # how many From fields there are; RFC 5322, 3.6 wants exactly one


@dataclass(frozen=True, slots=True)
class Text:
    """A stretch of text in a private encoding, with the evidence."""

    place: str  # `subject`, `body`, `part 2`, `part 2 paragraph 14`, `part 3 sheet "Nhân sự" B7`, `file name 2`
    encoding: Encoding
    words: int  # words with a non-ASCII letter after decoding
    share: float  # of these, valid Vietnamese syllables, 0 to 1
    certain: bool  # 8 words or more and a share of 0.90: refuse; else only possible
    as_read: str  # the first 120 letters as they look unconverted
    converted: str  # the same in Unicode
    font: str = ""
    part: str = ""  # MIME part or attachment it belongs to, such as `2`; empty: header
    file: str = ""  # name of that attachment


@dataclass(frozen=True, slots=True)
class Mark:
    """A mark of secrecy, urgency or circulation (Decree 30/2020, Annex I)."""

    kind: MarkKind
    value: str  # as the decree writes it: `MẬT`, `TỐI MẬT`, `TUYỆT MẬT`, `KHẨN`, `THƯỢNG KHẨN`, `HOẢ TỐC`, `LƯU HÀNH NỘI BỘ`, …
    place: str
    certain: bool  # a mark alone on its line, or bracketed in subject or file name
    line: str = ""  # the line it was found in, at most 120 letters
    part: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """An administrative document, as declared by the sender or found in the content."""

    category: str = (
        ""  # e-mail category: notice, schedule, invitation, summons, directive, work-exchange, …
    )
    type: str = ""  # one of the 29 types by id: thong-bao, giay-moi, …; empty: not one of them
    number: str = ""
    symbol: str = ""  # notation without the number: TB-UBND
    date: str = ""  # ISO 8601
    agency: str = ""
    abstract: str = ""
    urgency: str = ""
    due: str = ""
    addressees: tuple[str, ...] = ()  # agencies it is addressed to, or sent to, as it names them
    place: str = ""  # where it was found: `header Mailgov-Document`, `subject`, `body`, `part 2`, `file name 2`
    words: tuple[str, ...] = ()  # the words that decided
    confidence: float = 0.0
    is_agency_document: bool = (
        False  # national heading, notation or agency name: a document of an agency
    )

    @property
    def notation(self) -> str:
        """Number and symbol, as written: 12/TB-UBND."""
        return f"{self.number}/{self.symbol}" if self.number and self.symbol else ""


@dataclass(frozen=True, slots=True)
class Signature:
    """A digital signature on a file or on a message, and what checking it said."""

    state: SignatureState
    form: Literal["pdf", "cms", "smime", "xml", "office"]
    why: str = ""  # for states other than valid
    holder: Literal["person", "agency", ""] = ""  # whose certificate it is; empty: it does not say
    signer: str = ""  # name in the certificate
    organisation: str = ""  # organisation in the certificate
    addresses: tuple[str, ...] = ()  # e-mail addresses in the certificate
    signed_at: str = ""  # RFC 3339 in the time of Vietnam; empty when it names no time
    stamped: bool = False  # a time-stamping authority we trust says when; else the signer's clock
    part: str = ""  # of a message: the MIME part that is signed; empty: all of it

    @property
    def is_sound(self) -> bool:
        """Whether what is shown is what was signed, whoever signed it."""
        return self.state in ("valid", "unknown-signer", "expired")


@dataclass(frozen=True, slots=True)
class ScannedPages:
    """A PDF of pictures without text layer: a scan."""

    version: str  # of the format: 1.4
    pages: int
    dpi: int  # the lowest of the pictures that fill the first pages; 0: none was found
    grey: bool = False  # a picture that fills one of them has no colours
    width_mm: int = 0  # of the first page; 0: not known
    height_mm: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """How the first page of a document is set. Empty and 0: not known."""

    width_mm: int = 0
    height_mm: int = 0
    font: str = ""  # of most of its letters
    size_pt: float = 0.0  # of most of its letters


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file in the message, or in an archive in it: what it is by its bytes."""

    part: str  # `2`, or `2/folder/name.exe` inside an archive
    name: str  # as shown to people; may be empty
    declared_type: str  # media type from the header
    kind: str  # true kind: pdf, docx, doc, xlsx, …, zip, exe, script, shortcut, disk-image, text, html, unknown
    size_bytes: int
    sha256: str = ""
    state: Literal["read", "encrypted", "unscannable", "bomb"] = "read"
    why: str = ""  # for states other than read
    macros: bool = False
    active: tuple[
        str, ...
    ] = ()  # active content found: `javascript`, `launch action`, `remote template`, `dde`
    disguised: bool = False  # name or declared type say something else than the bytes
    document: Document | None = None  # the document found in it
    has_text: bool = True  # False: a scan without text layer
    scan: ScannedPages | None = None  # of a PDF without text layer
    page: Page | None = None  # of a document with text, where its reader tells
    signatures: tuple[Signature, ...] = ()  # on the file, in the order of signing

    @property
    def extension(self) -> str:
        """The last part of the name in lower case, without the dot; empty when there is none."""
        return self.name.rpartition(".")[2].lower() if "." in self.name else ""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that the bytes of a message say."""

    size_bytes: int
    header: Header = Header()
    declared: Document | None = None
    found: Document | None = None
    texts: tuple[Text, ...] = ()
    marks: tuple[Mark, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    active: tuple[str, ...] = ()  # active content in the HTML of the message itself
    petition: bool = False  # its text or a file is a petition, as citizens and companies write them
    improper: tuple[str, ...] = ()  # kinds of use other than work that its words suggest: uses.py
    unmarked_words: int = 0  # Vietnamese words of a text that is written without diacritics
    signatures: tuple[Signature, ...] = ()  # S/MIME, on the message or on one within it
    malformed: tuple[
        str, ...
    ] = ()  # what keeps it from having one reading: `two From fields`, `bare CR`
    unscannable: str = ""  # why the content as a whole could not be read; never means clean
    reader: int = 0  # version of the reader

    @property
    def document(self) -> Document | None:
        """What the message is: declared by its sender, else found."""
        return self.declared or self.found


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """A recipient, as the directory knows it."""

    address: str
    domain: str
    local: bool = False  # a mailbox of ours
    official: bool = False  # below .gov.vn, chinhphu.vn or another official suffix
    freemail: bool = False
    kind: str = ""  # ours: person, office, post, shared
    agency: str = ""  # ours: code
    interagency_only: bool = False
    agency_names: tuple[
        str, ...
    ] = ()  # ours: its agency's and of those above, when a document asks
    group_mode: str = ""  # of a group: open, members, moderated
    group_size: int = 0  # of a group: mailboxes that it leads to
    may_post: bool = True  # the sender writes to the group without waiting for a moderator
    wrote_days_ago: int = -1  # when it last wrote to the one who sends; -1: not within a year
    mailbox_id: int | None = None  # ours: for those who deliver; rules have no use for it


@dataclass(frozen=True, slots=True)
class Receipt:
    """A document in the message that one of its recipients has got before."""

    recipient: str
    place: str  # of the document in this message
    on: str  # day of the earlier one, ISO 8601


@dataclass(frozen=True, slots=True)
class Authentication:
    """How an inbound message was authenticated."""

    spf: AuthResult = "none"
    dkim: AuthResult = "none"
    dmarc: AuthResult = "none"
    dmarc_policy: str = ""  # none, quarantine, reject; empty: no record
    dmarc_override: DmarcOverride = ""  # why the policy is not applied, whatever `dmarc` says
    arc: AuthResult = "none"  # the chain of those who passed it on


@dataclass(frozen=True, slots=True)
class Envelope:
    """Everything that the session and the directory say."""

    direction: Literal["submission", "inbound", "internal"]
    mail_from: str  # empty: null sender
    recipients: tuple[RecipientFacts, ...]
    login: str = ""  # address that signed in
    may_send_as: tuple[str, ...] = ()  # addresses the login owns or is delegated
    on_behalf_of: tuple[str, ...] = ()  # addresses that may stand in From beside an own Sender
    sender_local: bool = False  # domain of mail_from is ours
    agency: str = ""  # code of the sender's agency
    public_contact: bool = False  # the mailbox that sends is there for citizens and companies
    forwarded_by: str = ""  # mailbox of ours whose own rule passes the message on; empty: none does
    received: tuple[Receipt, ...] = ()  # documents in it that recipients of ours have already
    local_domains: tuple[
        str, ...
    ] = ()  # only those named in this message: sender's and recipients'
    official_suffixes: tuple[str, ...] = ("gov.vn", "chinhphu.vn")
    freemail_domains: tuple[str, ...] = ()  # of those named in this message, the free ones
    authentication: Authentication = Authentication()
    client_ip: str = ""
    helo: str = ""
    max_content_bytes: int = 25 << 20
    scan: Literal["", "clean", "infected", "not-scanned"] = ""  # empty: no scanner is configured
    malware: tuple[str, ...] = ()  # names that the scanner gave


@dataclass(frozen=True, slots=True)
class Facts:
    """All that a verdict rests on."""

    envelope: Envelope
    content: Content
