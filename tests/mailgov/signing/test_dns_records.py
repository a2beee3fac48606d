"""What a domain publishes."""

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
        ("_submissions._tcp.", "SRV"),
        ("_submission._tcp.", "SRV"),
        ("_imaps._tcp.", "SRV"),
        ("autoconfig.", "CNAME"),
        ("autodiscover.", "CNAME"),
    ]
    values = {record.purpose: record.value for record in records}
    assert values["mx"] == "10 mail.tinhmau.gov.vn"
    assert values["spf"] == "v=spf1 mx -all"
    assert values["dkim"] == f"v=DKIM1; k=rsa; p={'A' * 392}"
    assert values["dmarc"] == "v=DMARC1; p=reject; rua=mailto:postmaster@sonoivu.tinhmau.gov.vn"


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
