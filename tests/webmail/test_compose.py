"""Writing: nothing typed is lost, everything is judged before it goes, repairs can be taken back."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import select

from mailgov.db.models import Draft, DraftFile, Mailbox, MessageRow
from mailgov.directory.provisioning import grant_send_as
from mailgov.errors import Conflict, NotFound, Unavailable
from mailgov.relay.ports import Sent
from mailgov.relay.records import Records
from mailgov_policies import facts
from mailgov_webmail.compose.drafts import Drafts, new_draft_id
from mailgov_webmail.compose.letter import Letter
from mailgov_webmail.mailbox import SEEN
from mailgov_webmail.reading import read
from tests.support.directory import act
from tests.support.webmail import AN, OFFICE, Browser, Site, letter

TCVN3 = "Em göi kÌm b¸o c¸o th¸ng 11 cña Së Tµi chÝnh vÒ t×nh h×nh thu chi ng©n s¸ch nhµ n\u00adíc."
UNICODE = "Em gửi kèm báo cáo tháng 11 của Sở Tài chính về tình hình thu chi ngân sách nhà nước."
BODY = f"Kính gửi ông,\n{TCVN3}\nTrân trọng."

SEND, CHECK = "button[formaction$='/send']", "button[formaction$='/check']"
JSON = {"Accept": "application/json", "Sec-Fetch-Site": "same-origin"}
EXE = b"MZ" + b"\0" * 58 + b"\x40\0\0\0" + b"PE\0\0" + b"\0" * 300
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer<<>>\n%%EOF\n"


def file(name: str = "a.pdf", content: bytes = PDF) -> list[tuple[str, tuple[str, bytes, str]]]:
    return [("files", (name, content, "application/pdf"))]


def rows(site: Site, model: Any) -> list[Any]:
    with site.services.database.read() as session:
        found = list(session.exec(select(model)))
        session.expunge_all()
    return found


def sent(site: Site) -> list[MessageRow]:
    """What was taken from a writer; notices of the platform itself are not."""
    return [row for row in rows(site, MessageRow) if row.direction == "submission"]


# Keeping


def test_opening_the_page_keeps_nothing_and_saving_does(an: Browser, site: Site) -> None:
    an.go("/compose")
    path = an.path
    assert re.fullmatch(r"/compose/[0-9a-f]{32}", path)
    assert rows(site, Draft) == []
    an.submit(
        "button[formaction$='/save']", {"to": OFFICE, "subject": "Báo cáo", "body": "a\n\nb "}
    )
    assert an.path == path
    assert (an.value("to"), an.value("subject"), an.value("body")) == (OFFICE, "Báo cáo", "a\n\nb ")
    assert an.text("#saved") == "Đã lưu nháp 09:00"
    (event,) = site.events("draft.written")
    assert (event.mailbox, event.agency_code) == (AN, "H99.02")


def test_a_draft_is_one_act_of_use_each_day(an: Browser, site: Site) -> None:
    an.write(body="một").submit("button[formaction$='/save']", {"body": "hai"})
    assert len(site.events("draft.written")) == 1
    site.clock.pass_(days=1)
    later = site.signed_in().go(an.path)
    later.submit("button[formaction$='/save']", {"body": "ba"})
    assert len(site.events("draft.written")) == 2


@pytest.mark.parametrize(
    "text", ["\ndòng đầu trống", "<script>&amp;</textarea>", "  thụt  lề ", "hoà\u0301"]
)
def test_text_comes_back_as_it_was_typed(an: Browser, text: str) -> None:
    assert an.write(body=text).value("body") == text


def test_our_script_gets_the_new_version_and_the_time(an: Browser, site: Site) -> None:
    an.write(body="một")
    data = {"csrf": an.value("csrf"), "version": "1", "body": "hai"}
    told = an.client.post(f"{an.path}/save", data=data, headers=JSON).json()
    assert told == {"version": 2, "saved": "Đã lưu nháp 09:00"}


def test_a_second_tab_is_told_and_decides(an: Browser, site: Site) -> None:
    an.write(subject="x", body="bản đầu")
    path = an.path
    tab = site.signed_in().go(path)
    an.submit("button[formaction$='/save']", {"body": "cửa sổ một"})
    tab.submit("button[formaction$='/save']", {"body": "cửa sổ hai"})
    assert (tab.status, tab.title.split()[0]) == (409, "Lỗi:")
    assert tab.value("body") == "cửa sổ hai"
    assert site.signed_in().go(path).value("body") == "cửa sổ một"
    tab.submit("#summary button")
    assert (tab.status, tab.value("body")) == (200, "cửa sổ hai")
    stale = {"csrf": an.value("csrf"), "version": "1", "body": "cũ"}
    assert an.client.post(f"{path}/save", data=stale, headers=JSON).status_code == 409


def test_drafts_of_others_do_not_exist(an: Browser, site: Site) -> None:
    an.write(body="của An")
    path = an.path
    office = site.signed_in(OFFICE)
    office.go(path)
    assert office.value("body") == ""
    office.submit("button[formaction$='/save']", {"body": "của văn thư"})
    assert office.status == 422
    assert an.go(path).value("body") == "của An"


def test_a_dropped_draft_comes_back(an: Browser, site: Site) -> None:
    an.write(subject="Báo cáo", body="dài lắm")
    path = an.path
    an.submit("button[formaction$='/discard']")
    assert (an.path, an.text(".notice")) == ("/mail/drafts", "Đã hủy thư nháp. Hoàn tác")
    assert an.go(path).status == 404
    an.go("/mail/drafts")
    assert "Báo cáo" not in an.text("main")
    an.write(body="khác").submit("button[formaction$='/discard']")
    an.submit("#undo")
    assert an.value("body") == "khác"


# Files


def test_files_are_kept_with_the_draft_and_taken_out(an: Browser, site: Site) -> None:
    an.go("/compose")
    an.submit("#attach", {"body": "xem tệp"}, file("Báo cáo.pdf"))
    assert "Báo cáo.pdf" in an.text("#files li")
    assert an.value("body") == "xem tệp"
    an.submit("#files li button")
    assert not an.all("#files li")
    an.submit(".notice button[value=undo]")
    assert "Báo cáo.pdf" in an.text("#files li")


def test_files_beyond_the_limit_are_refused_and_the_text_stays(an: Browser, site: Site) -> None:
    an.write(body="xem tệp")
    big = b"x" * (21 << 20)
    an.submit("#attach", {}, file("1.pdf", big))
    an.submit("#attach", {"body": "viết thêm"}, file("2.pdf", big))
    assert an.status == 422
    assert an.title.startswith("Lỗi:")
    assert an.value("body") == "viết thêm"
    assert an.text("#files li .line-title") == "1.pdf"
    an.submit("button[formaction$='/save']", {"body": "và nữa"})
    assert (an.status, an.value("body")) == (200, "và nữa")


# Judging


def test_the_check_names_place_law_and_repair(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body=BODY)
    an.submit(CHECK)
    assert an.text("#check-title") == "Kiểm tra: 1 phải sửa"
    (finding,) = an.all(".finding")
    assert finding.get("class") == "finding block"
    words = an.text(".finding")
    assert words.startswith("Chặn Bộ mã ký tự riêng coi như chưa gửi Nội dung thư, dòng 2")
    assert "Quyết định 72/2002/QĐ-TTg" in words
    links = {a.get("href") for a in an.all(".finding a")}
    assert links == {"#body", "/help/rules/legacy-encoding"}
    assert an.text(".finding del").startswith("Em göi")
    assert an.text(".finding ins").startswith("Em gửi kèm")
    (event,) = site.events("message.checked")
    assert event.data["codes"] == ["legacy-encoding"]


def test_findings_are_written_down_once_for_each_set(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body=BODY)
    for _ in range(3):
        an.submit(CHECK)
    assert len(site.events("message.checked")) == 1
    an.submit(CHECK, {"body": "Kính gửi ông."})
    assert len(site.events("message.checked")) == 1


def test_conversion_to_unicode_touches_only_what_is_not_and_can_be_undone(
    an: Browser, site: Site
) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body=BODY).submit(CHECK)
    an.submit("button[value='unicode:body']")
    assert an.value("body") == f"Kính gửi ông,\n{UNICODE}\nTrân trọng."
    assert not an.all(".finding.block, .finding.warn")
    an.submit(".notice button[value=undo]")
    assert an.value("body") == BODY


def test_a_subject_is_converted_alone(an: Browser) -> None:
    an.write(to=OFFICE, subject=TCVN3, body="Kính gửi ông.").submit(CHECK)
    assert an.text(".finding a").startswith("Tiêu đề")
    an.submit("button[value='unicode:subject']")
    assert (an.value("subject"), an.value("body")) == (UNICODE, "Kính gửi ông.")


def test_a_file_gets_a_unicode_copy_beside_it(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body="Xem tệp gửi kèm.")
    an.submit("#attach", {}, file("bc.txt", TCVN3.encode("cp1252"))).submit(CHECK)
    assert an.text(".finding.block del").startswith("Em göi")
    an.submit("button[value^='unicode-file:']")
    assert [an_.text for an_ in an.all("#files .line-title")] == ["bc.txt", "bc.unicode.txt"]
    assert [row.content for row in rows(site, DraftFile)] == [
        TCVN3.encode("cp1252"),
        UNICODE.encode(),
    ]
    assert not an.all("button[value^='unicode-file:']")
    an.submit(".notice button[value=undo]")
    assert an.text("#files")
    assert "bc.unicode.txt" not in an.text("#files")
    an.submit(CHECK).submit("button[value^='unicode-file:']")
    original = rows(site, DraftFile)[0].id
    an.submit(f"#files button[value='remove:{original}']").submit(CHECK)
    assert not an.all(".finding.block")


def test_a_file_that_cannot_be_converted_is_told(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body="Xem tệp gửi kèm.")
    an.submit("#attach", {}, file("bc.txt", TCVN3.encode("cp1252"))).submit(CHECK)
    number = an.all("button[value^='unicode-file:']")[0].get("value").partition(":")[2]
    with site.services.database.write() as session:
        row = session.get(DraftFile, int(number))
        assert row is not None
        row.content = PDF
    an.submit(f"button[value='unicode-file:{number}']")
    assert an.status == 422
    assert "không phải tệp văn bản thuần" in an.text("#summary")
    assert an.value("body") == "Xem tệp gửi kèm."


def test_a_program_is_named_and_taken_out_or_replaced(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body="Xem tệp gửi kèm.")
    an.submit("#attach", {}, file("bao-cao.exe", EXE))
    an.submit(CHECK)
    assert "bao-cao.exe" in an.text(".finding.block")
    target = an.all(".finding.block a")[0].get("href")
    assert an.all(target)
    instead = an.all("button[value^='replace:']")[0].get("value")
    name = f"replacement-{instead.split(':')[1]}"
    an.submit(
        f"button[value='{instead}']", {}, [(name, ("bao-cao.txt", b"45 trang", "text/plain"))]
    )
    assert an.text("#files .line-title") == "bao-cao.txt"
    assert not an.all(".finding.block")


def test_a_replacement_that_was_not_chosen_changes_nothing(an: Browser) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body="x").submit("#attach", {}, file("a.exe", EXE))
    an.submit(CHECK).submit("button[value^='replace:']")
    assert an.text("#files .line-title") == "a.exe"


def test_a_wrong_recipient_is_told_before_sending_and_can_be_dropped(an: Browser) -> None:
    an.write(to=f"{OFFICE}, khong.co@sonoivu.tinhmau.test, dở dang", subject="x", body="y")
    an.submit(CHECK)
    assert "Không có hộp thư khong.co@sonoivu.tinhmau.test" in an.text(".finding.block")
    assert "“dở dang” không phải là địa chỉ thư" in an.text(".finding.block")


def test_our_script_gets_the_panel_alone_and_nothing_is_saved(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body="Kính gửi ông.")
    data = {"csrf": an.value("csrf"), "version": "1", "to": OFFICE, "body": BODY, "subject": "x"}
    answer = an.client.post(
        f"{an.path}/check?part=findings", data=data, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.text.lstrip().startswith('<h2 id="check-title">')
    assert "1 phải sửa" in answer.text
    assert an.go(an.path).value("body") == "Kính gửi ông."


def test_while_nobody_can_judge_the_page_says_so(an: Browser, site: Site) -> None:
    site.reader.trouble = Unavailable("readers-unavailable")
    an.write(to=OFFICE, subject="Báo cáo", body=BODY).submit(CHECK)
    assert an.status == 200
    assert "Chưa kiểm tra được, sẽ kiểm tra khi gửi." in an.text(".check")
    assert an.value("body") == BODY


@pytest.mark.parametrize(
    ("fields", "title"),
    [
        ({"subject": "", "body": "x"}, "Chưa có tiêu đề"),
        ({"subject": "x", "body": "Xem báo cáo gửi kèm."}, "Có thể quên tệp"),
        (
            {"subject": "x", "to": ", ".join(f"u{n}@x.gov.vn" for n in range(31))},
            "Nhiều người nhận",
        ),
    ],
)
def test_hints_mention_what_a_colleague_would(
    an: Browser, site: Site, fields: dict[str, str], title: str
) -> None:
    an.write(**{"to": OFFICE, **fields}).submit(CHECK)
    assert f"Gợi ý {title}" in an.text(".finding.hint")
    assert site.events("message.checked") == []


def test_quoted_words_give_no_hint(an: Browser) -> None:
    an.write(to=OFFICE, subject="x", body="Vâng.\n> xem tệp gửi kèm").submit(CHECK)
    assert not an.all(".finding")


# Sending


def test_a_letter_goes_through_the_gate_and_a_copy_stays(an: Browser, site: Site) -> None:
    an.write(
        to=f"Văn thư <{OFFICE}>", bcc="c@ngoai.gov.vn", subject="Giấy mời", body="Kính gửi ông."
    )
    an.submit(SEND, {"bcc": ""})
    assert (an.path, an.text(".notice")) == ("/mail/inbox", "Thư đã được gửi.")
    (row,) = sent(site)
    assert (row.mail_from, row.login, row.direction) == (AN, AN, "submission")
    (copy,) = site.mail.stored["Sent"].values()
    assert copy.flags == {SEEN}
    found = read(copy.data, site.services.config.limits)
    assert (found.header.subject, found.text.strip()) == ("Giấy mời", "Kính gửi ông.")
    assert found.header.from_[0].name == "Nguyễn Văn An"
    (event,) = site.events("message.accepted")
    assert (event.data["channel"], event.mailbox) == ("web", AN)
    (draft,) = rows(site, Draft)
    assert (draft.state, draft.fields) == ("sent", {"document": ""})


def test_the_copy_names_hidden_recipients_and_the_message_does_not(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, bcc=AN, subject="x", body="y").submit(SEND)
    (copy,) = site.mail.stored["Sent"].values()
    assert copy.data.startswith(f"Bcc: {AN}\r\n".encode())
    (row,) = sent(site)
    assert row.content is not None
    assert b"Bcc" not in row.content


def test_files_and_document_form_travel(an: Browser, site: Site) -> None:
    an.write(
        to=OFFICE, subject="Giấy mời họp", body="Kính gửi.", document="giay-moi",
        symbol="12/GM-SNV", urgency="khan", due="2026-11-25", paper="no",
    )  # fmt: skip
    an.submit("#attach", {}, file("Giấy mời.txt", b"Kinh moi"))
    assert an.value("document") == "giay-moi"
    an.submit(SEND)
    if an.status == 422:
        an.submit(SEND, {"reason": "Bản ký số gửi sau."})
    (row,) = sent(site)
    assert (row.document_type, row.document_number, row.document_symbol) == (
        "giay-moi",
        "12",
        "GM-SNV",
    )
    assert rows(site, DraftFile) == []
    again = site.signed_in().go("/compose")
    assert again.all("#document optgroup")[0].get("label") == "Bạn dùng gần đây"
    assert again.all("#document optgroup option")[0].get("value") == "giay-moi"


def test_a_refused_letter_stays_open_with_the_reasons_on_top(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="Báo cáo", body=BODY).submit(SEND)
    assert an.status == 422
    assert an.title.startswith("Lỗi: Soạn thư")
    (summary,) = an.all("#summary")
    assert (summary.get("tabindex"), "autofocus" in summary.attrib) == ("-1", True)
    assert "Bộ mã ký tự riêng" in an.text("#summary li a")
    assert an.all(an.all("#summary li a")[0].get("href"))
    assert an.value("body") == BODY
    assert sent(site) == []
    (event,) = site.events("message.refused")
    assert (event.data["channel"], event.data["code"]) == ("web", "legacy-encoding")
    an.submit("button[value='unicode:body']").submit(SEND)
    assert an.path == "/mail/inbox"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "Chưa có người nhận."),
        ({"to": "dở dang"}, "“dở dang” không phải là địa chỉ thư."),
        ({"cc": "khong.co@tinhmau.test"}, "Không có hộp thư khong.co@tinhmau.test."),
        ({"to": ", ".join(f"u{n}@x.gov.vn" for n in range(101))}, "nhiều nhất 100 địa chỉ"),
        ({"to": OFFICE, "from": OFFICE}, f"Bạn không được gửi thư từ địa chỉ {OFFICE}."),
    ],
)
def test_what_keeps_a_letter_is_said_beside_its_field(
    an: Browser, site: Site, fields: dict[str, str], told: str
) -> None:
    an.write(subject="x", body="y").submit(SEND, fields)
    assert (an.status, an.title.split()[0]) == (422, "Lỗi:")
    assert told in an.text("#summary")
    assert an.value("body") == "y"
    assert sent(site) == []


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        (Sent(499, 1999, 999), ""),
        (Sent(500, 500, 1), "Trong một giờ chỉ được gửi tới 500 người nhận."),
        (Sent(0, 2000, 1), "Trong một ngày chỉ được gửi tới 2000 người nhận."),
        (Sent(0, 0, 1000), "Trong một ngày chỉ được gửi 1000 thư."),
    ],
)
def test_what_was_sent_of_late_counts_here_too(
    an: Browser, site: Site, counts: Sent, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def so_many(_records: Records, login: str) -> Sent:
        assert login == AN
        return counts

    monkeypatch.setattr(Records, "sent", so_many)
    an.write(subject="x", body="y").submit(SEND, {"to": OFFICE})
    assert (told in an.text("#summary")) if told else (an.status == 200)
    assert len(sent(site)) == (0 if told else 1)


def test_a_warning_needs_a_written_reason_which_is_recorded(an: Browser, site: Site) -> None:
    site_reader(site, marks=(facts.Mark("secrecy", "MẬT", "body", certain=False),))
    an.write(to=OFFICE, subject="x", body="Văn bản mật thì không gửi.").submit(SEND)
    assert an.status == 422
    assert "ghi lý do vẫn gửi" in an.text("#summary")
    assert an.text(".finding .level") == "Cảnh báo"
    assert sent(site) == []
    an.submit(SEND, {"reason": "Chỉ nhắc quy định, không có nội dung mật."})
    assert an.path == "/mail/inbox"
    (event,) = site.events("message.accepted")
    assert event.data["reason"] == "Chỉ nhắc quy định, không có nội dung mật."


def test_a_secret_is_erased_with_its_files(an: Browser, site: Site) -> None:
    site_reader(site, marks=(facts.Mark("secrecy", "MẬT", "body", certain=True),))
    an.write(to=OFFICE, subject="x", body="MẬT").submit("#attach", {}, file())
    an.submit(SEND)
    assert "Chặn" in an.text(".finding .level")
    an.submit("button[value=erase]")
    assert "Đã xóa hẳn thư nháp" in an.text(".notice")
    assert (rows(site, Draft), rows(site, DraftFile)) == ([], [])


def test_trouble_while_sending_loses_nothing(an: Browser, site: Site) -> None:
    site.reader.trouble = Unavailable("readers-unavailable")
    an.write(to=OFFICE, subject="Báo cáo", body="Kính gửi ông.").submit(SEND)
    assert (an.status, an.title.split()[0]) == (503, "Lỗi:")
    assert an.value("body") == "Kính gửi ông."
    site.reader.trouble = None
    assert an.submit(SEND).path == "/mail/inbox"
    assert len(sent(site)) == 1


def test_trouble_while_saving_gives_the_letter_back(an: Browser, site: Site) -> None:
    an.write(subject="Báo cáo", body="bản một")
    submit = site.services.database.submit

    async def down(_: object) -> None:
        raise Unavailable("database-unavailable", reason="x")

    object.__setattr__(site.services.database, "submit", down)
    an.submit("button[formaction$='/save']", {"body": "bản hai"})
    assert (an.status, an.value("body")) == (503, "bản hai")
    object.__setattr__(site.services.database, "submit", submit)
    an.submit("button[formaction$='/save']")
    assert (an.status, an.value("body")) == (200, "bản hai")


@pytest.mark.parametrize(
    "trouble", [Unavailable("mailstore-unavailable"), Conflict("mailbox-full")]
)
def test_a_copy_that_cannot_be_kept_does_not_undo_the_sending(
    an: Browser, site: Site, trouble: Exception
) -> None:
    async def refuse(*_: object) -> None:
        raise trouble

    site.mail.append = refuse  # type: ignore[method-assign]
    an.write(to=OFFICE, subject="x", body="y").submit(SEND)
    assert an.text(".notice") == "Thư đã được gửi, nhưng chưa lưu được bản sao vào Đã gửi."
    assert len(sent(site)) == 1


def test_a_letter_is_sent_once_however_often_the_button_is_pressed(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="x", body="y")
    path, csrf = an.path, an.value("csrf")
    data = {"csrf": csrf, "version": "1", "to": OFFICE, "subject": "x", "body": "y"}
    an.submit(SEND)
    assert len(sent(site)) == 1
    again = an.client.post(f"{path}/send", data=data, headers={"Sec-Fetch-Site": "same-origin"})
    assert (again.status_code, again.url.path) == (200, "/mail/sent")
    assert an.go(path).path == "/mail/sent"
    assert len(sent(site)) == 1


async def test_of_two_who_press_at_once_one_sends(site: Site) -> None:
    account = await site.services.directory.account(AN)
    assert account is not None
    drafts = Drafts(site.services.database, site.clock, account)
    draft_id = new_draft_id()
    await drafts.save(draft_id, Letter(body="x"), 0)
    claims = await asyncio.gather(*(drafts.claim(draft_id) for _ in range(5)))
    assert sorted(claims) == [False, False, False, False, True]
    with pytest.raises(NotFound, match="draft-missing"):
        await drafts.save(draft_id, Letter(body="y"), 1)
    site.clock.pass_(minutes=6)  # whoever held it died
    assert await drafts.claim(draft_id)


async def test_dropped_drafts_are_forgotten_after_a_week(site: Site) -> None:
    account = await site.services.directory.account(AN)
    assert account is not None
    drafts = Drafts(site.services.database, site.clock, account)
    for body in ("cũ", "mới"):
        draft_id = new_draft_id()
        await drafts.save(draft_id, Letter(body=body), 0)
        await drafts.discard(draft_id)
        site.clock.pass_(days=8)
    assert [row.fields["letter"]["body"] for row in rows(site, Draft)] == ["mới"]


def test_a_mailbox_that_may_only_be_read_keeps_the_draft(an: Browser, site: Site) -> None:
    an.write(to=OFFICE, subject="x", body="y")
    with site.services.database.write() as session:
        session.exec(select(Mailbox).where(Mailbox.address == AN)).one().state = "suspended"
    an.submit(SEND)
    assert (an.status, sent(site)) == (422, [])
    assert "tạm khóa" in an.text("#summary")


# Answering


def test_a_reply_quotes_addresses_and_threads(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giấy mời", "Kính gửi ông.\n> cũ hơn\n", to=f"{AN}, c@x.gov.vn"))
    an.go("/mail/inbox/7.1").follow(".toolbar a[data-key=r]")
    assert an.value("to") == "Trần Thị B <ttb@sotaichinh.tinhmau.test>"
    assert an.value("subject") == "Re: Giấy mời"
    assert an.value("body") == (
        "\n\nNgày 21/11/2026 08:05, Trần Thị B <ttb@sotaichinh.tinhmau.test> viết:\n"
        "> Kính gửi ông.\n>> cũ hơn\n"
    )
    an.submit(SEND, {"to": OFFICE})
    (copy,) = site.mail.stored["Sent"].values()
    found = read(copy.data, site.services.config.limits)
    original = read(site.mail.stored["INBOX"][1].data, site.services.config.limits)
    assert found.field("in-reply-to") == original.field("message-id")
    assert found.field("references") == original.field("message-id")
    assert "\\Answered" in site.mail.stored["INBOX"][1].flags


def test_a_reply_to_all_leaves_the_writer_out(an: Browser, site: Site) -> None:
    site.mail.put(letter(to=f"{AN}, Lê C <c@x.gov.vn>, ttb@sotaichinh.tinhmau.test"))
    an.go("/mail/inbox/7.1").follow(".toolbar a[data-key=a]")
    assert an.value("to") == "Trần Thị B <ttb@sotaichinh.tinhmau.test>"
    assert an.value("cc") == "Lê C <c@x.gov.vn>"


def test_a_reply_goes_where_the_sender_wants_it(an: Browser, site: Site) -> None:
    site.mail.put(letter(header={"Reply-To": "phong@x.gov.vn"}))
    an.go("/compose?reply=inbox/7.1")
    assert an.value("to") == "phong@x.gov.vn"


def test_going_on_with_ones_own_letter_writes_to_its_recipients(an: Browser, site: Site) -> None:
    site.mail.put(letter("Re: Giấy mời", sender=f"An <{AN}>", to="c@x.gov.vn"), "Sent")
    an.go("/compose?reply=sent/7.1")
    assert (an.value("to"), an.value("subject")) == ("c@x.gov.vn", "Re: Giấy mời")


def test_forwarding_takes_the_ticked_files_along(an: Browser, site: Site) -> None:
    site.mail.put(letter("Giấy mời", files={"a.pdf": PDF, "b.pdf": PDF + b"b"}))
    an.go("/mail/inbox/7.1").follow(".toolbar a[data-key=f]")
    assert (an.value("subject"), an.value("to")) == ("Fwd: Giấy mời", "")
    assert "Người gửi: Trần Thị B" in an.value("body")
    keep = an.all("[name=keep]")[1].get("value")
    an.submit("button[formaction$='/save']", {"keep": keep})
    assert an.text("#files .line-title") == "b.pdf"
    assert not an.all("[name=keep]")
    an.submit("button[formaction$='/save']")
    assert an.text("#files .line-title") == "b.pdf"


def test_what_was_answered_may_be_gone(an: Browser) -> None:
    assert an.go("/compose?reply=inbox/7.99").status == 404
    assert an.go("/compose?reply=nothing").status == 404


def test_a_link_may_name_the_recipient(an: Browser) -> None:
    an.go(f"/compose?to={OFFICE}&subject=Xin+ch%C3%A0o")
    assert (an.value("to"), an.value("subject")) == (OFFICE, "Xin chào")


def test_office_mail_is_written_by_those_who_may(an: Browser, site: Site) -> None:
    with site.services.database.write() as session:
        grant_send_as(session, act(), mailbox=OFFICE, holder=AN)
    an.write(to=AN, subject="x", body="y", **{"from": OFFICE}).submit(SEND)
    (row,) = sent(site)
    assert (row.mail_from, row.login) == (OFFICE, AN)


@pytest.mark.corpus
def test_a_real_old_document_is_told_before_it_is_sent(
    an: Browser, site: Site, corpus: Path
) -> None:
    document = min(
        (corpus / "documents/legacy-tcvn3").glob("*.doc"), key=lambda p: p.stat().st_size
    )
    an.write(to=OFFICE, subject="Gửi văn bản", body="Xem tệp gửi kèm.")
    an.submit(
        "#attach", {}, [("files", ("van-ban.doc", document.read_bytes(), "application/msword"))]
    )
    an.submit(CHECK)
    assert "van-ban.doc" in an.text(".finding.block")
    assert "/help/rules/legacy-encoding" in {a.get("href") for a in an.all(".finding a")}
    an.submit(SEND)
    assert (an.status, sent(site)) == (422, [])


def site_reader(site: Site, **found: Any) -> None:
    """Let the reader find what a test decides."""
    real = site.reader.read

    async def reading(body: Any) -> facts.Content:
        return replace(await real(body), **found)

    site.reader.read = reading  # type: ignore[method-assign]
