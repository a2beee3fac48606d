"""Whether DNS shows a key as it must."""

import pytest

from mailgov.errors import Unavailable
from mailgov.signing.dns_check import is_published
from mailgov.signing.dns_records import Record

from ...support.dns import FakeResolver

DKIM = Record("s._domainkey.a.test", "TXT", "v=DKIM1; k=rsa; p=AbC+/=", "dkim")


@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        ([b"v=DKIM1; k=rsa; p=AbC+/="], True),
        ([b"v=DKIM1;k=rsa;p=Ab C+\t/="], True),  # white space in it means nothing
        ([b"v=DKIM1; k=rsa; p=abc+/="], False),
        ([b"v=DKIM1; p="], False),  # revoked
        ([b"v=DKIM1; k=rsa; p=AbC+/=", b"v=DKIM1; k=rsa; p=XYZ="], False),  # which one counts?
        ([], False),
        ([b"\xff"], False),
    ],
)
async def test_keys(texts: list[bytes], wanted: bool) -> None:
    assert await is_published(DKIM, FakeResolver(txt_of={DKIM.name: texts})) is wanted


async def test_trouble_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        await is_published(DKIM, FakeResolver(broken=frozenset({DKIM.name})))
