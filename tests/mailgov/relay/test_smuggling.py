"""One in, one out: whatever stands for an end of message elsewhere, only CRLF.CRLF is one here."""

from pathlib import Path

import pytest

from ...support.relay import OFFICIAL, Authority, Relay, running_relay

# What some server somewhere took, or takes, for the end.
ENDINGS = {
    "LF.LF": b"\n.\n",
    "LF.CRLF": b"\n.\r\n",
    "CRLF.LF": b"\r\n.\n",
    "CR.CR": b"\r.\r",
    "CR.CRLF": b"\r.\r\n",
    "CRLF.CR": b"\r\n.\r",
    "LF.CR": b"\n.\r",
    "CR.LF": b"\r.\n",
    "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "CRLF.CRCRLF": b"\r\n.\r\r\n",
}
HARMLESS = {
    "CRLF.NUL.CRLF": b"\r\n.\0\r\n",
    "CRLF.NUL.LF": b"\r\n\0.\r\n",
    "CRLF..CRLF": b"\r\n..\r\n",
    "CRLF.space.CRLF": b"\r\n. \r\n",
}
SECOND = (
    b"MAIL FROM:<chutich@vidu.gov.vn>\r\nRCPT TO:<an.nguyen@vidu.gov.vn>\r\nDATA\r\n"
    b"Subject: gia mao\r\n\r\nB\r\n.\r\n"
)


def message(ending: bytes) -> bytes:
    return b"Subject: that\r\n\r\nA" + ending + SECOND


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_a_stranger_is_refused_after_the_true_end(ending: bytes, relay: Relay) -> None:
    client = await relay.connect("mx")
    await client.envelope()
    assert (await client.data(message(ending))).startswith("550 5.6.11 [bare-line-end] ")
    assert (await client.say("NOOP")).startswith("250 ")  # one reply for one message
    assert relay.intake.received == []
    await client.close()


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_so_is_a_user(ending: bytes, relay: Relay) -> None:
    client = await relay.signed_in()
    await client.envelope(OFFICIAL)
    assert (await client.data(message(ending))).startswith("550 5.6.11 [bare-line-end] ")
    assert (await client.say("NOOP")).startswith("250 ")
    assert relay.intake.received == []
    await client.close()


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
async def test_a_trusted_host_is_repaired_and_sends_one_message(
    ending: bytes, tmp_path: Path, authority: Authority
) -> None:
    networks = ("127.0.0.0/8",)
    async with running_relay(tmp_path, authority, trusted_networks=networks) as relay:
        client = await relay.connect("mx")
        await client.envelope()
        assert (await client.data(message(ending))).startswith("250 2.0.0 q1 ")
        assert (await client.say("NOOP")).startswith("250 ")
        ((_, content),) = relay.intake.received
        assert content.replace(b"\r\n", b"").translate(None, b"\r\n") == content.replace(
            b"\r\n", b""
        )
        assert content.endswith(b"\r\n\r\nB\r\n")
        await client.close()


async def test_a_trusted_host_is_refused_where_that_is_set(
    tmp_path: Path, authority: Authority
) -> None:
    async with running_relay(
        tmp_path,
        authority,
        trusted_networks=("127.0.0.0/8",),
        settings={"repair_line_ends": False},
    ) as relay:
        client = await relay.connect("mx")
        await client.envelope()
        refused = await client.data(message(ENDINGS["LF.LF"]))
        assert refused.startswith("550 5.6.11 [bare-line-end] ")
        assert relay.intake.received == []
        await client.close()


@pytest.mark.parametrize("ending", HARMLESS.values(), ids=HARMLESS)
async def test_what_only_looks_like_an_end_is_text(ending: bytes, relay: Relay) -> None:
    client = await relay.connect("mx")
    await client.envelope()
    assert (await client.data(message(ending))).startswith("250 2.0.0 q1 ")
    assert (await client.say("NOOP")).startswith("250 ")
    ((_, content),) = relay.intake.received
    assert content.endswith(b"Subject: gia mao\r\n\r\nB\r\n")
    await client.close()
