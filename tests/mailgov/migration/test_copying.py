"""Mailboxes moved from a real Dovecot: everything comes, once, however often it is interrupted."""

import random
from pathlib import Path

import pytest
from imapclient import imap_utf7

from mailgov import faults
from mailgov.errors import Conflict, NotAllowed
from mailgov.migration import maildir
from mailgov.migration.copying import Choice
from mailgov.migration.finishing import finish
from mailgov.migration.journal import open_journal
from mailgov.migration.source import Server

from ...support.imap_engines import PASSWORD, Engine
from .moving import Move, fill, hashes, message, server_of, signed_in

pytestmark = pytest.mark.dovecot

SPECIAL = '"C&APQ-ng v&AQM-n/11-2025"'


@pytest.fixture
def move(dovecot_engine: Engine, tmp_path: Path) -> Move:
    """From a new account on Dovecot into an empty folder."""
    home = tmp_path / "mail" / "vidu.gov.vn" / "to"
    return Move(server_of(dovecot_engine, dovecot_engine.mailbox()), tmp_path, home)


async def test_folders_flags_and_dates_come_along(dovecot_engine: Engine, move: Move) -> None:
    user = move.server.user
    fill(dovecot_engine, user, "INBOX", [message(n) for n in range(3)], flags=r"(\Seen \Flagged)")
    fill(dovecot_engine, user, "Sent", [message(10)])
    fill(dovecot_engine, user, SPECIAL, [message(20), message(21)], flags=r"(\Answered)")
    reports = {report.target: report for report in await move.run()}
    assert reports["Công văn/11-2025"].copied == 2
    assert (reports["INBOX"].copied, reports["INBOX"].verified) == (3, 3)
    assert move.hashes() == hashes([message(n) for n in range(3)])
    assert move.hashes("Sent") == hashes([message(10)])
    assert move.hashes("Công văn/11-2025") == hashes([message(20), message(21)])
    inbox = maildir.files(move.home / "Maildir")
    assert all(path.name.endswith(":2,FS") for path in inbox)
    assert sorted(int(path.stat().st_mtime) for path in inbox) == [1719995400, 1719995401, 1719995402]  # fmt: skip


async def test_what_lies_there_is_left_as_it_is(dovecot_engine: Engine, move: Move) -> None:
    fill(dovecot_engine, move.server.user, "INBOX", [message(1)])
    await move.run()
    with signed_in(dovecot_engine, move.server.user) as client:
        client.select("INBOX", readonly=True)
        assert client.search(None, "UNSEEN")[1] == [b"1"]


async def test_a_second_run_copies_only_what_is_new_and_tells_changed_flags(
    dovecot_engine: Engine, move: Move
) -> None:
    user = move.server.user
    fill(dovecot_engine, user, "INBOX", [message(n) for n in range(4)])
    await move.run()
    assert move.surveyed.new_messages == 4
    fill(dovecot_engine, user, "INBOX", [message(4)])
    with signed_in(dovecot_engine, user) as client:
        client.select("INBOX")
        client.store("1:2", "+FLAGS", r"(\Seen)")
    inbox = {report.target: report for report in await move.run()}["INBOX"]
    assert (inbox.at_source, inbox.already, inbox.copied, inbox.flag_changes) == (5, 4, 1, 2)
    assert move.surveyed.new_messages == 1
    assert move.hashes() == hashes([message(n) for n in range(5)])


async def test_equal_messages_all_come(dovecot_engine: Engine, move: Move) -> None:
    fill(dovecot_engine, move.server.user, "INBOX", [message(1)] * 3)
    await move.run()
    await move.run()
    assert move.hashes() == hashes([message(1)] * 3)


class Killed(BaseException):
    """What a kill leaves is what is on the disk."""


@pytest.mark.parametrize("seed", range(2))
async def test_killed_anywhere_and_run_again_nothing_is_lost_and_nothing_comes_twice(
    dovecot_engine: Engine, move: Move, seed: int
) -> None:
    chance = random.Random(seed)
    messages = [message(n, size) for n, size in enumerate([40] * 60 + [700_000] * 2 + [2_500_000])]
    chance.shuffle(messages)
    fill(dovecot_engine, move.server.user, "INBOX", messages)
    kills = 0
    while True:
        left = chance.randrange(1, 40)

        def passed(_: str) -> None:
            nonlocal left
            left -= 1
            if not left:
                raise Killed

        faults.set_handler(passed)
        try:
            await move.run()
            break
        except Killed:
            kills += 1
        finally:
            faults.set_handler(None)
    assert kills
    assert move.hashes() == hashes(messages)
    assert not list((move.home / "Maildir" / "tmp").iterdir())


async def test_a_file_left_by_a_kill_is_not_fetched_again(
    dovecot_engine: Engine, move: Move
) -> None:
    fill(dovecot_engine, move.server.user, "INBOX", [message(1)])

    def killed(point: str) -> None:
        if point == "M3":
            raise Killed

    faults.set_handler(killed)
    with pytest.raises(Killed):
        await move.run()
    faults.set_handler(None)
    [file] = maildir.files(move.home / "Maildir")
    file.rename(file.with_name(file.name + "S"))  # read meanwhile, here
    [inbox] = [report for report in await move.run() if report.target == "INBOX"]
    assert (inbox.copied, inbox.verified) == (1, 1)
    assert [path.name for path in maildir.files(move.home / "Maildir")] == [file.name + "S"]


async def test_a_folder_made_anew_there_is_recognised_by_its_messages(
    dovecot_engine: Engine, move: Move
) -> None:
    user = move.server.user
    fill(dovecot_engine, user, "Hop", [message(1), message(1), message(2)])
    await move.run()
    with signed_in(dovecot_engine, user) as client:
        client.delete("Hop")
    fill(dovecot_engine, user, "Hop", [message(3), message(1), message(2)])
    hop = {report.target: report for report in await move.run()}["Hop"]
    assert (hop.copied, hop.already) == (1, 2)
    assert move.hashes("Hop") == hashes([message(n) for n in (1, 1, 2, 3)])
    hop = {report.target: report for report in await move.run()}["Hop"]
    assert (hop.copied, hop.already) == (0, 3)


async def test_one_run_at_a_time(move: Move) -> None:
    move.home.mkdir(parents=True)
    with open_journal(move.home, "other"), pytest.raises(Conflict) as caught:
        await move.run()
    assert caught.value.code == "copy-under-way"


async def test_only_chosen_folders(dovecot_engine: Engine, move: Move) -> None:
    for name in ("A", "B"):
        fill(dovecot_engine, move.server.user, name, [message(1)])
    move.choice = Choice(only=("A",))
    assert [report.folder for report in await move.run()] == ["A"]
    assert "B" in move.surveyed.left_out


async def test_a_message_over_the_limit_is_left_out_and_said(
    dovecot_engine: Engine, move: Move
) -> None:
    fill(dovecot_engine, move.server.user, "INBOX", [message(1), message(2, 3 << 20)])
    move.choice = Choice(most_bytes=1 << 20)
    [inbox] = [report for report in await move.run() if report.target == "INBOX"]
    assert (inbox.copied, inbox.failed, inbox.problem) == (1, 1, "UID 2: too-large")
    move.choice = Choice()
    await move.run()
    assert move.hashes() == hashes([message(1), message(2, 3 << 20)])


async def test_a_wrong_password_is_said(move: Move) -> None:
    server = move.server
    move.server = Server(server.host, server.port, server.user, "sai", tls=False)
    with pytest.raises(NotAllowed) as caught:
        await move.run()
    assert caught.value.code == "copy-source-refused"


async def test_verification_notices_other_bytes(
    dovecot_engine: Engine, move: Move, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(dovecot_engine, move.server.user, "INBOX", [message(1), message(2)])
    store = maildir.Mailbox.store

    def spoiled(self: maildir.Mailbox, folder: Path, drafts: list[tuple[maildir.Draft, str, str]]) -> None:  # fmt: skip
        store(self, folder, drafts)
        maildir.files(folder)[0].write_bytes(b"spoiled")

    monkeypatch.setattr(maildir.Mailbox, "store", spoiled)
    [inbox] = [report for report in await move.run() if report.target == "INBOX"]
    assert (inbox.copied, inbox.verified, inbox.failed) == (2, 1, 1)
    assert inbox.problem.endswith("bytes-differ")


async def test_keywords_and_subscriptions_are_told_to_either_engine(
    dovecot_engine: Engine, engine: Engine, move: Move
) -> None:
    user, address = move.server.user, engine.mailbox()
    fill(dovecot_engine, user, SPECIAL, [message(1), message(2)], flags="($Forwarded VanBan)")
    fill(dovecot_engine, user, SPECIAL, [message(3)])
    move.data, move.home = engine.config.data.path, engine.maildir(address).parent
    await move.run()
    with open_journal(move.home, move.server.key) as journal:
        assert await finish(engine.config, address, journal, ["Công văn/11-2025"])
        assert journal.waiting_keywords() == {}
    with signed_in(engine, address) as client:
        client.select(SPECIAL)
        both = client.search(None, "KEYWORD", "VanBan")[1]
        assert len(both[0].split()) == 2
        assert client.search(None, "KEYWORD", "$Forwarded")[1] == both
        [other] = client.search(None, "UNKEYWORD", "VanBan")[1]
        _, said = client.fetch(other.decode(), "(INTERNALDATE BODY.PEEK[])")
        assert b"3-Jul-2024" in said[0][0]
        assert said[0][1] == message(3)
        assert imap_utf7.encode("Công văn/11-2025") in b"".join(client.lsub()[1])


async def test_without_our_server_keywords_wait(
    dovecot_engine: Engine, move: Move, tmp_path: Path
) -> None:
    from ...support.imap_engines import config_for

    fill(dovecot_engine, move.server.user, "INBOX", [message(1)], flags="(VanBan)")
    await move.run()
    with open_journal(move.home, move.server.key) as journal:
        assert not await finish(config_for(tmp_path), "to@vidu.gov.vn", journal, [])
        assert journal.waiting_keywords()["INBOX"]


async def test_a_master_user_opens_the_mailbox_of_another(
    dovecot_engine: Engine, move: Move
) -> None:
    from mailgov.mailstore import master

    fill(dovecot_engine, move.server.user, "INBOX", [message(1)])
    secret = master.token(dovecot_engine.config.data.path)
    server = move.server
    move.server = Server(server.host, server.port, server.user, secret, "webmail", tls=False)
    await move.run()
    assert move.hashes() == hashes([message(1)])
    move.server = Server(server.host, server.port, server.user, PASSWORD, "webmail", tls=False)
    with pytest.raises(NotAllowed):
        await move.run()
