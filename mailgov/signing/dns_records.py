"""What a domain must publish so that its mail arrives, is believed, and is found by mail programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from cryptography.x509 import load_pem_x509_certificate

from mailgov.db.models import DkimKey

MAX_STRING_OCTETS = 255  # RFC 1035, 3.3.14: one string of a TXT record
_KEY_TYPES = {"rsa2048": "rsa", "ed25519": "ed25519"}


@dataclass(frozen=True, slots=True)
class Record:
    """One record. `name` and host names in `value` are absolute, without the final dot."""

    name: str
    type: str
    value: str
    purpose: str  # mx, spf, dkim, dmarc, mta-sts, tls-rpt, bimi, client-setup, dane, ptr

    def zone_line(self) -> str:
        """The line of a zone file; long texts in strings of 255 octets.

        The reverse of an address stands in a zone of whoever gave the address: it is a comment.
        """
        if self.type == "PTR":
            return f"; reverse zone of each address of {self.name}. IN PTR {self.value}."
        return f"{self.name}. IN {self.type} {self._zone_value()}"

    def _zone_value(self) -> str:
        match self.type:
            case "TXT":
                pieces = range(0, len(self.value), MAX_STRING_OCTETS)
                strings = (self.value[at : at + MAX_STRING_OCTETS] for at in pieces)
                return " ".join(f'"{string}"' for string in strings)
            case "MX" | "SRV" | "CNAME":
                return f"{self.value}."
            case _:
                return self.value


def dkim_value(algorithm: str, public_key: str) -> str:
    """The TXT record of a key (RFC 6376, 3.6.1; RFC 8463)."""
    return f"v=DKIM1; k={_KEY_TYPES[algorithm]}; p={public_key}"


def dkim_record(domain: str, key: DkimKey) -> Record:
    """Where and how the public half of a key is published."""
    name = f"{key.selector}._domainkey.{domain}"
    return Record(name, "TXT", dkim_value(key.algorithm, key.public_key), "dkim")


def records_for(
    domain: str,
    hostname: str,
    keys: Sequence[DkimKey],
    *,
    policy_id: str = "1",
    report_mailbox: str = "postmaster",
    certificate: bytes = b"",
) -> list[Record]:
    """Every record of a domain whose mail `hostname` handles, in the order to publish them.

    Retired keys stay published, so that mail under way still verifies; withdrawn ones do not.
    `policy_id` changes whenever the MTA-STS policy does. `certificate` is that of the server, in
    PEM; without it there is no record for DANE. Those of the server itself come last, and are the
    same for each of its domains.
    """
    reports = f"{report_mailbox}@{domain}"
    return [
        Record(domain, "MX", f"10 {hostname}", "mx"),
        Record(domain, "TXT", "v=spf1 mx -all", "spf"),  # RFC 7208
        *(dkim_record(domain, key) for key in keys if key.state != "withdrawn"),
        Record(  # RFC 7489, 6.3
            f"_dmarc.{domain}", "TXT", f"v=DMARC1; p=reject; rua=mailto:{reports}", "dmarc"
        ),
        Record(f"_mta-sts.{domain}", "TXT", f"v=STSv1; id={policy_id}", "mta-sts"),  # RFC 8461, 3.1
        Record(f"mta-sts.{domain}", "CNAME", hostname, "mta-sts"),
        Record(  # RFC 8460, 3
            f"_smtp._tls.{domain}", "TXT", f"v=TLSRPTv1; rua=mailto:{reports}", "tls-rpt"
        ),
        # Says that the domain shows no logo: what a mail program shows otherwise is not ours.
        Record(f"default._bimi.{domain}", "TXT", "v=BIMI1; l=; a=;", "bimi"),
        *_client_setup(domain, hostname),
        *_of_the_server(hostname, certificate),
    ]


def _of_the_server(hostname: str, certificate: bytes) -> list[Record]:
    reverse = Record(hostname, "PTR", hostname, "ptr")
    if not certificate:
        return [reverse]
    # RFC 7672, 3.1.1: the server's own key, so that the certificate can be renewed under it.
    value = f"3 1 1 {key_digest(certificate)}"
    return [Record(f"_25._tcp.{hostname}", "TLSA", value, "dane"), reverse]


def key_digest(certificate: bytes) -> str:
    """SHA-256 of the public key of a PEM certificate, hexadecimal. Raises ValueError."""
    key = load_pem_x509_certificate(certificate).public_key()
    data = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return sha256(data).hexdigest()


def _client_setup(domain: str, hostname: str) -> list[Record]:
    """RFC 6186 and RFC 8314, 5: TLS from the first byte before STARTTLS; no service in clear."""
    return [
        Record(f"_submissions._tcp.{domain}", "SRV", f"0 1 465 {hostname}", "client-setup"),
        Record(f"_submission._tcp.{domain}", "SRV", f"10 1 587 {hostname}", "client-setup"),
        Record(f"_imaps._tcp.{domain}", "SRV", f"0 1 993 {hostname}", "client-setup"),
        Record(f"autoconfig.{domain}", "CNAME", hostname, "client-setup"),
        Record(f"autodiscover.{domain}", "CNAME", hostname, "client-setup"),
    ]
