"""The Received field."""

from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailgov.addresses import Address
from mailgov.message import Client, Envelope, Recipient
from mailgov.message_trace import received_field

MOMENT = datetime(2026, 11, 21, 3, 4, 5, tzinfo=UTC)
AN, BINH = (Recipient(Address(name, "vidu.gov.vn")) for name in ("an", "binh"))


def field(client: Client, *recipients: Recipient) -> bytes:
    envelope = Envelope("inbound", None, recipients or (AN,), client=client)
    return received_field(envelope, "01jd3x0000abcdefghjk", "mail.vidu.gov.vn", MOMENT)


def test_from_another_server_over_tls() -> None:
    client = Client(
        ip="192.0.2.7",
        helo="mx.example.org",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        protocol="ESMTPS",
    )
    assert field(client) == (
        b"Received: from mx.example.org ([192.0.2.7])\r\n"
        b"\tby mail.vidu.gov.vn with ESMTPS id 01jd3x0000abcdefghjk\r\n"
        b"\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tfor <an@vidu.gov.vn>;\r\n"
        b"\tSat, 21 Nov 2026 03:04:05 +0000\r\n"
    )


def test_from_a_user_with_ipv6_and_a_name_in_dns() -> None:
    client = Client(
        ip="2001:db8::7", helo="[192.168.1.5]", name="pc7.vidu.gov.vn", protocol="ESMTPSA"
    )
    assert field(client).startswith(
        b"Received: from [192.168.1.5] (pc7.vidu.gov.vn [IPv6:2001:db8::7])\r\n"
        b"\tby mail.vidu.gov.vn with ESMTPSA id "
    )


def test_several_recipients_do_not_learn_of_each_other() -> None:
    assert b" for " not in field(Client(), AN, BINH)


def test_a_recipient_that_is_not_ascii_is_left_out() -> None:
    assert field(Client(), Recipient(Address("nguyễn", "vidu.gov.vn"))).isascii()


def test_webmail_has_no_address() -> None:
    assert field(Client(protocol="HTTPS")).startswith(b"Received: from unknown\r\n\tby ")
    assert b" with HTTPS id " in field(Client(protocol="HTTPS"))


@pytest.mark.parametrize("protocol", ["", "ESMTP id 1; gia mao", "esmtp", "FTP"])
def test_only_registered_protocols(protocol: str) -> None:
    assert b" with SMTP id " in field(Client(protocol=protocol))


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


@given(TEXT, TEXT, TEXT, TEXT, TEXT)
@settings(deadline=None)
def test_nothing_a_client_says_breaks_the_field(
    helo: str, name: str, ip: str, tls: str, protocol: str
) -> None:
    raw = field(Client(ip=ip, helo=helo, name=name, tls=tls, protocol=protocol))
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.replace(b"\r\n\t", b"").count(b"\r") == 1
    message = message_from_bytes(raw + b"\r\n", policy=policy.default)
    assert message.keys() == ["Received"]
    assert message["Received"].endswith("Sat, 21 Nov 2026 03:04:05 +0000")
