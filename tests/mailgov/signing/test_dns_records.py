"""What a domain publishes."""

from hashlib import sha256

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_pem_x509_certificate

from mailgov.db.models import DkimKey
from mailgov.signing.dns_records import Record, dkim_record, records_for

KEY = DkimKey(domain_id=1, selector="2026a", public_key="A" * 392, file_name="x.pem")


def test_everything_a_domain_needs_in_order() -> None:
    records = records_for("sonoivu.tinhmau.gov.vn", "mail.tinhmau.gov.vn", [KEY])
    found = [
        (record.name.removesuffix("sonoivu.tinhmau.gov.vn"), record.type) for record in records
    ]
    assert found == [
        ("", "MX"),
        ("", "TXT"),
        ("2026a._domainkey.", "TXT"),
        ("_dmarc.", "TXT"),
        ("_mta-sts.", "TXT"),
        ("mta-sts.", "CNAME"),
        ("_smtp._tls.", "TXT"),
        ("default._bimi.", "TXT"),
        ("_submissions._tcp.", "SRV"),
        ("_submission._tcp.", "SRV"),
        ("_imaps._tcp.", "SRV"),
        ("autoconfig.", "CNAME"),
        ("autodiscover.", "CNAME"),
        ("mail.tinhmau.gov.vn", "PTR"),
    ]
    values = {record.purpose: record.value for record in records}
    assert values["mx"] == "10 mail.tinhmau.gov.vn"
    assert values["spf"] == "v=spf1 mx -all"
    assert values["dkim"] == f"v=DKIM1; k=rsa; p={'A' * 392}"
    assert values["dmarc"] == "v=DMARC1; p=reject; rua=mailto:postmaster@sonoivu.tinhmau.gov.vn"


def test_a_withdrawn_key_is_not_published_any_more() -> None:
    states = ("pending", "active", "retired", "withdrawn")
    keys = [
        DkimKey(domain_id=1, selector=s, public_key="A", file_name="x", state=s) for s in states
    ]
    records = records_for("a.test", "mail.a.test", keys)
    names = [record.name.partition(".")[0] for record in records if record.purpose == "dkim"]
    assert names == ["pending", "active", "retired"]


def test_reports_go_to_the_mailbox_of_the_setting() -> None:
    records = records_for("a.test", "mail.a.test", [], report_mailbox="bao-cao")
    reports = [record.value for record in records if "rua=" in record.value]
    assert len(reports) == 2
    assert all(value.endswith("rua=mailto:bao-cao@a.test") for value in reports)


def test_the_record_for_dane_is_of_the_server_s_key() -> None:
    ca = trustme.CA()
    certificate = ca.issue_cert("mail.a.test").cert_chain_pems[0].bytes()
    (record,) = [
        record
        for record in records_for("a.test", "mail.a.test", [], certificate=certificate)
        if record.purpose == "dane"
    ]
    key = load_pem_x509_certificate(certificate).public_key()
    data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert record.zone_line() == (f"_25._tcp.mail.a.test. IN TLSA 3 1 1 {sha256(data).hexdigest()}")


def test_the_reverse_of_addresses_is_a_comment_in_a_zone_file() -> None:
    *_, record = records_for("a.test", "mail.a.test", [])
    assert record.zone_line().startswith("; ")
    assert record.zone_line().endswith(" IN PTR mail.a.test.")


def test_a_zone_file_has_strings_of_at_most_255_octets() -> None:
    line = dkim_record("x.vn", KEY).zone_line()
    start, *strings = line.split('"')[::2], *line.split('"')[1::2]
    assert start[0] == "2026a._domainkey.x.vn. IN TXT "
    assert [len(string) for string in strings] == [255, 155]
    assert "".join(strings) == dkim_record("x.vn", KEY).value


def test_host_names_in_a_zone_file_are_absolute() -> None:
    assert Record("x.vn", "MX", "10 mail.x.vn", "mx").zone_line() == "x.vn. IN MX 10 mail.x.vn."
    srv = Record("_imaps._tcp.x.vn", "SRV", "0 1 993 mail.x.vn", "client-setup")
    assert srv.zone_line() == "_imaps._tcp.x.vn. IN SRV 0 1 993 mail.x.vn."
