"""What is said of each record that a domain publishes, and of each that it does not."""

from typing import Any

import pytest

from mailgov.authentication.published import Checked, State, check_records
from mailgov.db.models import DkimKey
from mailgov.resolver import Tlsa
from mailgov.signing.dns_records import Record, records_for
from mailgov_cli import words

from ...support.dns import FakeResolver

HOST = "mail.a.test"
KEY = DkimKey(domain_id=1, selector="k", public_key="AAAA", file_name="x", algorithm="ed25519")
RECORDS = {record.purpose: record for record in records_for("a.test", HOST, [KEY])}
RECORDS["sts-alias"] = Record("mta-sts.a.test", "CNAME", HOST, "mta-sts")
RECORDS["mta-sts"] = Record("_mta-sts.a.test", "TXT", "v=STSv1; id=1", "mta-sts")
RECORDS["srv"] = Record("_imaps._tcp.a.test", "SRV", f"0 1 993 {HOST}", "client-setup")
RECORDS["dane"] = Record(f"_25._tcp.{HOST}", "TLSA", "3 1 1 " + "ab" * 32, "dane")
OURS = {HOST: ["192.0.2.5", "2001:db8::5"]}


def spf(text: str, more: dict[str, list[bytes]] | None = None, **tables: Any) -> FakeResolver:
    texts = {"a.test": [text.encode()], **(more or {})}
    mx = {"a.test": [(10, HOST)]}
    return FakeResolver(txt_of=texts, mx_of=mx, addresses_of=OURS, **tables)


def text(name: str, *values: str) -> FakeResolver:
    texts = {name: [value.encode() for value in values]}
    return FakeResolver(txt_of=texts, addresses_of=OURS)


TLSA = Tlsa(3, 1, 1, b"\xab" * 32)
CASES: list[tuple[str, FakeResolver, State, str]] = [
    ("mx", FakeResolver(mx_of={"a.test": [(5, "b.test"), (10, HOST)]}, addresses_of=OURS), State.OK, ""),
    ("mx", FakeResolver(mx_of={"a.test": [(5, "b.test")]}), State.DIFFERS, "differs"),
    ("mx", FakeResolver(mx_of={"a.test": [(0, "")]}), State.DIFFERS, "differs"),
    ("mx", FakeResolver(), State.MISSING, "missing"),
    ("mx", FakeResolver(mx_of={"a.test": [(10, HOST)]}), State.DIFFERS, "mx-without-address"),
    ("mx", FakeResolver(broken=frozenset({"a.test"})), State.UNANSWERED, "unanswered"),
    ("spf", spf("v=spf1 mx -all"), State.OK, ""),
    ("spf", spf("v=spf1 include:b.test -all", {"b.test": [b"v=spf1 ip4:192.0.2.5 ip6:2001:db8::5"]}), State.OK, ""),
    ("spf", spf("v=spf1 mx ~all"), State.WARN, "spf-soft"),
    ("spf", spf("v=spf1 ip4:192.0.2.5 -all"), State.DIFFERS, "spf-without-us"),  # not by IPv6
    ("spf", spf("v=spf1 +all"), State.DIFFERS, "spf-permits-all"),
    ("spf", spf("v=spf1 mx -al"), State.DIFFERS, "spf-not-valid"),
    ("spf", spf("v=spf1 include:b.test -all", broken=frozenset({"b.test"})), State.UNANSWERED, "unanswered"),
    ("spf", text("a.test", "google-site-verification=x"), State.MISSING, "missing"),
    ("spf", text("a.test", "v=spf1 -all", "v=spf1 mx -all"), State.DIFFERS, "two-records"),
    ("dkim", text("k._domainkey.a.test", "v=DKIM1; k=ed25519; p=AA AA"), State.OK, ""),
    ("dkim", text("k._domainkey.a.test", "v=DKIM1; p="), State.DIFFERS, "differs"),
    ("dkim", text("k._domainkey.a.test", "v=DKIM1; p=AAAA", "v=DKIM1; p=B"), State.DIFFERS, "two-records"),
    ("dmarc", text("_dmarc.a.test", "v=DMARC1;p=quarantine;rua=mailto:x@b.test"), State.OK, ""),
    ("dmarc", text("_dmarc.a.test", "v=DMARC1; p=none; rua=mailto:x@b.test"), State.WARN, "dmarc-only-watches"),
    ("dmarc", text("_dmarc.a.test", "v=DMARC1; p=reject"), State.WARN, "dmarc-without-reports"),
    ("dmarc", text("_dmarc.a.test", "v=DMARC1; p=refuse"), State.DIFFERS, "dmarc-not-valid"),
    ("dmarc", text("_dmarc.a.test", "v=DMARC1; p=none", "v=DMARC1; p=none"), State.DIFFERS, "two-records"),
    ("dmarc", text("_dmarc.a.test", "hello"), State.MISSING, "missing"),
    ("mta-sts", text("_mta-sts.a.test", "v=STSv1; id=20261122T;"), State.OK, ""),
    ("mta-sts", text("_mta-sts.a.test", "v=STSv1; id=a-b"), State.DIFFERS, "sts-not-valid"),
    ("mta-sts", text("_mta-sts.a.test", "v=STSv10; id=1"), State.MISSING, "missing"),
    ("sts-alias", FakeResolver(alias_of={"mta-sts.a.test": [HOST]}), State.OK, ""),
    ("sts-alias", FakeResolver(addresses_of={**OURS, "mta-sts.a.test": ["192.0.2.5"]}), State.OK, ""),
    ("sts-alias", FakeResolver(addresses_of={**OURS, "mta-sts.a.test": ["192.0.2.9"]}), State.DIFFERS, "differs"),
    ("tls-rpt", text("_smtp._tls.a.test", "v=TLSRPTv1;rua=https://x.test/r"), State.OK, ""),
    ("tls-rpt", text("_smtp._tls.a.test", "v=TLSRPTv1; rua=x@a.test"), State.DIFFERS, "tlsrpt-not-valid"),
    ("bimi", text("default._bimi.a.test", "v=BIMI1; l=; a=;"), State.OK, ""),
    ("bimi", FakeResolver(), State.OK, ""),
    ("bimi", text("default._bimi.a.test", "v=BIMI1; l=https://x.test/a.svg"), State.WARN, "bimi-on"),
    ("srv", FakeResolver(srv_of={"_imaps._tcp.a.test": [(5, 0, 993, HOST)]}), State.OK, ""),
    ("srv", FakeResolver(srv_of={"_imaps._tcp.a.test": [(0, 1, 143, HOST)]}), State.DIFFERS, "differs"),
    ("srv", FakeResolver(), State.WARN, "setup-by-hand"),
    ("dane", FakeResolver(tlsa_of={f"_25._tcp.{HOST}": [TLSA]}, secure=frozenset({f"_25._tcp.{HOST}"})), State.OK, ""),
    ("dane", FakeResolver(tlsa_of={f"_25._tcp.{HOST}": [TLSA]}), State.WARN, "dane-not-signed"),
    ("dane", FakeResolver(tlsa_of={f"_25._tcp.{HOST}": [Tlsa(3, 1, 1, b"x")]}), State.DIFFERS, "dane-differs"),
    ("dane", FakeResolver(), State.WARN, "dane-missing"),
    ("ptr", FakeResolver(addresses_of=OURS, names_of={ip: [HOST] for ip in OURS[HOST]}), State.OK, ""),
    ("ptr", FakeResolver(addresses_of=OURS, names_of={"192.0.2.5": [HOST]}), State.DIFFERS, "ptr"),
    ("ptr", FakeResolver(), State.MISSING, "no-address"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "resolver", "state", "problem"), CASES, ids=[f"{c[0]}-{c[3] or 'ok'}" for c in CASES]
)
async def test_records(key: str, resolver: FakeResolver, state: State, problem: str) -> None:
    checked = await check_one(key, resolver)
    assert (checked.state, checked.problem) == (state, problem)
    assert bool(checked.found) or state in (State.MISSING, State.WARN, State.UNANSWERED, State.OK)


async def check_one(key: str, resolver: FakeResolver) -> Checked:
    (checked,) = await check_records([RECORDS[key]], resolver, HOST)
    return checked


def test_every_problem_has_a_mend_in_both_languages() -> None:
    for problem in {case[3] for case in CASES} - {""}:
        for language in ("vi", "en"):
            assert words.find(language, "dns-fix", problem), problem
    mends = words.catalogue("vi")["dns-fix"]
    assert set(mends) == {case[3] for case in CASES} - {""}
