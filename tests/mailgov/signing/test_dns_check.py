"""Whether DNS shows what a domain should publish."""

import pytest

from mailgov.errors import Unavailable
from mailgov.signing.dns_check import State, check
from mailgov.signing.dns_records import Record

from ...support.dns import FakeResolver

MX = Record("a.test", "MX", "10 mail.a.test", "mx")
SPF = Record("a.test", "TXT", "v=spf1 mx -all", "spf")
DKIM = Record("s._domainkey.a.test", "TXT", "v=DKIM1; k=rsa; p=AbC+/=", "dkim")
DMARC = Record("_dmarc.a.test", "TXT", "v=DMARC1; p=reject", "dmarc")
SRV = Record("_imaps._tcp.a.test", "SRV", "0 1 993 mail.a.test", "client-setup")


@pytest.mark.parametrize(
    ("record", "texts", "state"),
    [
        (SPF, [b"v=spf1 mx -all"], State.OK),
        (SPF, [b"v=spf1 include:other.test -all", b"google-site-verification=x"], State.OK),
        (SPF, [b"google-site-verification=x"], State.MISSING),
        (SPF, [b"v=spf1 -all", b"v=spf1 mx -all"], State.DIFFERS),  # two count as none
        (SPF, [], State.MISSING),
        (DMARC, [b"v=DMARC1;p=none"], State.OK),
        (DKIM, [b"v=DKIM1; k=rsa; p=AbC+/="], State.OK),
        (DKIM, [b"v=DKIM1;k=rsa;p=Ab C+\t/="], State.OK),  # white space in it means nothing
        (DKIM, [b"v=DKIM1; k=rsa; p=abc+/="], State.DIFFERS),
        (DKIM, [b"v=DKIM1; p="], State.DIFFERS),  # revoked
        (DKIM, [], State.MISSING),
        (DKIM, [b"\xff"], State.MISSING),
    ],
)
async def test_texts(record: Record, texts: list[bytes], state: State) -> None:
    assert (await check(record, FakeResolver(txt_of={record.name: texts}))).state is state


@pytest.mark.parametrize(
    ("exchanges", "state"),
    [
        ([(10, "mail.a.test")], State.OK),
        ([(5, "backup.a.test"), (10, "mail.a.test")], State.OK),
        ([(10, "mail.b.test")], State.DIFFERS),
        ([], State.MISSING),
    ],
)
async def test_exchanges(exchanges: list[tuple[int, str]], state: State) -> None:
    checked = await check(MX, FakeResolver(mx_of={"a.test": exchanges}))
    assert checked.state is state
    assert set(checked.found) == {host for _, host in exchanges}


async def test_trouble_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        await check(DKIM, FakeResolver(broken=frozenset({DKIM.name})))
    assert (await check(SRV, FakeResolver())).state is State.UNCHECKED
