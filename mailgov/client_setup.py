"""What mail programs need to know: Mozilla autoconfig, Outlook autodiscover, Apple profiles.

Everybody may ask and every address gets the same answer: none of it tells who exists. Passwords are
in no answer.
"""

import plistlib
import uuid
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, tostring

from lxml import etree

from mailgov.addresses import Address
from mailgov.config import Config
from mailgov.errors import InputError

MAX_QUESTION_BYTES = 64 << 10
_OUTLOOK = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
_RESPONSE = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"


@dataclass(frozen=True, slots=True)
class Servers:
    """Where programs read and send. Both with TLS from the first byte (RFC 8314)."""

    imap_host: str
    imap_port: int
    smtp_host: str
    smtp_port: int
    organisation: str
    setup_url: str  # the page for people; empty where the webmail's address isn't known


def servers(config: Config) -> Servers:
    """The servers that this installation tells programs of."""
    clients, site = config.clients, config.site
    return Servers(
        clients.imap_host or site.hostname,
        clients.imap_port,
        clients.smtp_host or site.hostname,
        clients.smtp_port,
        site.organisation or site.hostname,
        f"{config.web.url.rstrip('/')}/setup" if config.web.url else "",
    )


def autoconfig(found: Servers, domain: str) -> bytes:
    """The file that Thunderbird and its like ask for, in Mozilla's form 1.1."""
    root = Element("clientConfig", version="1.1")
    provider = SubElement(root, "emailProvider", id=domain or found.imap_host)
    _text(provider, "domain", domain or found.imap_host)
    _text(provider, "displayName", found.organisation)
    _text(provider, "displayShortName", found.organisation)
    for tag, kind, host, port in (
        ("incomingServer", "imap", found.imap_host, found.imap_port),
        ("outgoingServer", "smtp", found.smtp_host, found.smtp_port),
    ):
        server = SubElement(provider, tag, type=kind)
        _text(server, "hostname", host)
        _text(server, "port", str(port))
        _text(server, "socketType", "SSL")
        _text(server, "authentication", "password-cleartext")  # inside TLS
        _text(server, "username", "%EMAILADDRESS%")
    if found.setup_url:
        documentation = SubElement(provider, "documentation", url=found.setup_url)
        _text(documentation, "descr", found.organisation)
    return _document(root)


def asked_for(question: bytes) -> Address:
    """The address in Outlook's question. Raises InputError `autodiscover-not-valid`, `address-not-valid`."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        if len(question) > MAX_QUESTION_BYTES:
            raise InputError("autodiscover-not-valid")
        root = etree.fromstring(question, parser)
    except etree.XMLSyntaxError:
        raise InputError("autodiscover-not-valid") from None
    address = root.findtext(".//{*}EMailAddress")
    if not address:
        raise InputError("autodiscover-not-valid")
    return Address.parse(address.strip())


def autodiscover(found: Servers, address: Address) -> bytes:
    """What Outlook is answered, in its form of plain XML."""
    root = Element("Autodiscover", xmlns=_RESPONSE)
    response = SubElement(root, "Response", xmlns=_OUTLOOK)
    account = SubElement(response, "Account")
    _text(account, "AccountType", "email")
    _text(account, "Action", "settings")
    for kind, host, port in (
        ("IMAP", found.imap_host, found.imap_port),
        ("SMTP", found.smtp_host, found.smtp_port),
    ):
        protocol = SubElement(account, "Protocol")
        for tag, text in (
            ("Type", kind),
            ("Server", host),
            ("Port", str(port)),
            ("DomainRequired", "off"),
            ("LoginName", str(address)),
            ("SPA", "off"),
            ("SSL", "on"),
            ("AuthRequired", "on"),
        ):
            _text(protocol, tag, text)
    return _document(root)


def apple_profile(found: Servers, address: Address, name: str = "") -> bytes:
    """A profile for iPhone, iPad and Mac, which asks for the password when it is installed.

    The same address gives the same identifiers, so that installing again replaces.
    """
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{address.key}")
    account = {
        "PayloadType": "com.apple.mail.managed",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_reversed(found.imap_host)}.mail.{identity}",
        "PayloadUUID": str(uuid.uuid5(identity, "account")).upper(),
        "PayloadDisplayName": found.organisation,
        "EmailAccountType": "EmailTypeIMAP",
        "EmailAccountDescription": found.organisation,
        "EmailAccountName": name or str(address),
        "EmailAddress": str(address),
        "IncomingMailServerAuthentication": "EmailAuthPassword",
        "IncomingMailServerHostName": found.imap_host,
        "IncomingMailServerPortNumber": found.imap_port,
        "IncomingMailServerUseSSL": True,
        "IncomingMailServerUsername": str(address),
        "OutgoingMailServerAuthentication": "EmailAuthPassword",
        "OutgoingMailServerHostName": found.smtp_host,
        "OutgoingMailServerPortNumber": found.smtp_port,
        "OutgoingMailServerUseSSL": True,
        "OutgoingMailServerUsername": str(address),
        "OutgoingPasswordSameAsIncomingPassword": True,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"{_reversed(found.imap_host)}.{identity}",
        "PayloadUUID": str(uuid.uuid5(identity, "profile")).upper(),
        "PayloadDisplayName": f"{found.organisation}: {address}",
        "PayloadOrganization": found.organisation,
        "PayloadContent": [account],
    }
    return plistlib.dumps(profile)


def _reversed(host: str) -> str:
    return ".".join(reversed(host.split(".")))


def _text(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = text


def _document(root: Element) -> bytes:
    document: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"
