"""`mailgov policy`: rules listed and explained, files and manifests judged, without a database."""

import csv
import io
import json
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from mailgov.config import Limits, Readers
from mailgov.content import read_message
from mailgov.message import Body
from mailgov_policies import DUTIES, RULES, Content

from ..support import signers
from .conftest import Run

AN = "an.nv@tinhmau.gov.vn"
TCVN3 = (
    "Kính gửi các đơn vị: đề nghị nộp báo cáo trước ngày mồng năm, trân trọng cảm ơn quý đơn vị."
)
TCVN3_BYTES = (
    "KÝnh göi c¸c ®¬n vÞ: ®Ò nghÞ nép b¸o c¸o tr\xadíc ngµy mång n¨m, tr©n träng c¶m ¬n quý ®¬n vÞ."
)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration, no database, nothing but the files of the test."""
    monkeypatch.chdir(tmp_path)


class _ReaderHere:
    """The pool without its processes: starting them for each test would take longer than all else."""

    def __init__(
        self, settings: Readers, limits: Limits, *, trust_roots: tuple[bytes, ...]
    ) -> None:
        self._limits = limits
        self._trust_roots = trust_roots

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to end."""

    async def read(self, body: Body) -> Content:
        """The facts, read in this process."""
        return read_message(body.read(), self._limits, self._trust_roots)


@pytest.fixture(autouse=True)
def _reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests named after the sandbox use the real pool."""
    if "sandboxed" not in request.function.__name__:
        monkeypatch.setattr("mailgov_cli.checking.ReaderPool", _ReaderHere)


def _letter(name: str, body: str = "Kính gửi Văn phòng.\n", **fields: str) -> str:
    """A message file; returns its name."""
    message = EmailMessage(policy=SMTP)
    for field, value in {
        "From": f"An <{AN}>",
        "To": "vanphong@bomau.gov.vn",
        "Subject": "Trao đổi",
        "Date": "Sat, 21 Nov 2026 08:00:00 +0700",
        "Message-ID": f"<{name}@tinhmau.gov.vn>",
        **fields,
    }.items():
        message[field] = value
    message.set_content(body, charset="utf-8", cte="base64")
    Path(name).write_bytes(message.as_bytes())
    return name


def _legacy_letter(name: str) -> str:
    head = f"From: {AN}\r\nTo: vanphong@bomau.gov.vn\r\nSubject: Thong bao\r\n"
    head += "Date: Sat, 21 Nov 2026 08:00:00 +0700\r\nMessage-ID: <1@tinhmau.gov.vn>\r\n"
    head += "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    head += "Content-Transfer-Encoding: 8bit\r\n\r\n"
    Path(name).write_bytes(head.encode() + TCVN3_BYTES.encode("cp1252") + b"\r\n")
    return name


# list, explain ----------------------------------------------------------------------------------


def test_list_has_every_rule_and_duty_with_its_basis(run: Run) -> None:
    rows = run("policy", "list", "--json").data
    assert {row["code"] for row in rows} == {*(rule.key for rule in RULES), *DUTIES}
    assert all(row["basis"] and row["name"] for row in rows)
    freemail = next(row for row in rows if row["code"] == "freemail-outbound")
    assert (freemail["action"], freemail["cases"]) == ("warn", {"document": "reject"})


def test_list_shows_an_agencys_own_rows(run: Run) -> None:
    Path("tinh-mau.toml").write_text(
        '[[rule]]\nkey = "macro"\naction = "reject"\nagencies = ["H99"]\n', encoding="utf-8"
    )

    def macro(*more: str) -> list[tuple[str, str]]:
        rows = run("policy", "list", "--ruleset", "tinh-mau.toml", *more, "--json").data
        return [(r["ruleset"], r["action"]) for r in rows if r["code"] == "macro"]

    assert macro() == [("default", "hold"), ("tinh-mau", "reject")]
    assert macro("--agency", "H99.02") == [("tinh-mau", "reject")]
    assert macro("--agency", "G90") == [("default", "hold")]


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("vi", "Bí mật nhà nước không gửi qua thư điện tử"),
        ("en", "No state secrets by e-mail"),
    ],
)
def test_explain_tells_law_levels_and_steps(run: Run, language: str, title: str) -> None:
    (record,) = run("policy", "explain", "secret-mark", "--json", "--lang", language).data
    assert record["name"] == title
    assert record["id"] == "B05"
    assert "117/2025/QH15" in record["basis"]
    assert record["levels"][0]["locked"] is True
    assert {*record["steps"]} == {"webmail", "thunderbird", "outlook", "phone"}
    shown = run("policy", "explain", "secret-mark", "--format", "table", "--lang", language)
    assert title in shown.stdout
    assert "1. " in shown.stdout


def test_explain_knows_what_is_no_rule_but_a_code(run: Run) -> None:
    for code in ("secret-no-copy", "rule-failed"):
        assert run("policy", "explain", code, "--json").data[0]["code"] == code


def test_an_unknown_code_is_told_with_those_like_it(run: Run) -> None:
    result = run("policy", "explain", "legacy-encodin", "--json")
    assert (result.exit, result.error["code"]) == (3, "rule-unknown")
    assert "legacy-encoding" in result.error["text"]


# check ------------------------------------------------------------------------------------------


def test_a_file_that_passes(run: Run) -> None:
    result = run("policy", "check", _letter("thu.eml"), "--json")
    (record,) = result.data
    assert json.loads(result.stdout)["schema"] == "policy.check/1"
    assert result.exit == 0
    assert (result.stderr, record["file"], record["action"]) == ("", "thu.eml", "pass")
    assert {*record} == {"file", "action", "code", "findings", "document", "labels"}
    assert (record["code"], record["findings"], record["labels"]) == ("", [], [])
    assert record["document"]["category"] == "work-exchange"
    assert record["document"]["type"] == ""


def test_findings_of_sandboxed_readers_name_place_and_evidence_and_decide_the_exit_code(
    run: Run,
) -> None:
    result = run("policy", "check", _letter("a.eml"), _legacy_letter("b.eml"), "--json")
    passed, refused = result.data
    assert result.exit == 8
    assert passed["action"] == "pass"
    assert (refused["action"], refused["code"]) == ("reject", "legacy-encoding")
    (finding,) = refused["findings"]
    assert {*finding} == {"code", "action", "where", "evidence"}
    assert finding["where"] == "body"
    assert finding["evidence"]["encoding"] == "tcvn3"
    assert finding["evidence"]["converted"].startswith(TCVN3[:20])


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("vi", ["từ chối [legacy-encoding]", "Ở đâu: nội dung thư", "TCVN3", "Căn cứ:", "1. "]),
        ("en", ["reject [legacy-encoding]", "Where: the text of the message", "Basis:", "1. "]),
    ],
)
def test_people_are_told_what_where_why_on_which_law_and_the_mend(
    run: Run, language: str, told: list[str]
) -> None:
    file = _legacy_letter("thu.eml")
    out = run("policy", "check", file, "--format", "table", "--lang", language).stdout
    for text in [*told, "KÝnh göi", "Kính gửi"]:
        assert text in out


def test_scripts_get_a_line_for_each_finding(run: Run) -> None:
    out = run("policy", "check", _legacy_letter("thu.eml"), _letter("a.eml"), "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out.stdout)))
    assert [(row["file"], row["finding"]) for row in rows] == [
        ("thu.eml", "legacy-encoding"),
        ("a.eml", ""),
    ]
    assert "Unicode" in rows[0]["sentence"]
    assert rows[0]["basis"]
    assert rows[0]["mend"].startswith("1. ")


def test_sender_and_recipients_come_from_the_options(run: Run) -> None:
    file = _letter("thu.eml")
    other = run("policy", "check", file, "--from", "binh.tt@tinhmau.gov.vn", "--json").data[0]
    assert other["code"] == "sender-identity"
    free = run("policy", "check", file, "--to", "a@bomau.gov.vn", "--to", "b@gmail.com", "--json")
    assert (free.exit, free.data[0]["labels"]) == (0, ["freemail-outbound"])
    assert [f["where"] for f in free.data[0]["findings"]] == ["recipient b@gmail.com"]


def test_inbound_mail_is_judged_with_the_results_given(run: Run) -> None:
    file = _letter("thu.eml", From="a@bomau.gov.vn", To=AN)
    Path("ket-qua.txt").write_text(
        "Authentication-Results: mail.tinhmau.gov.vn;\r\n spf=fail smtp.mailfrom=bomau.gov.vn;\r\n"
        " dkim=none; dmarc=fail (p=reject dis=none) header.from=bomau.gov.vn\r\n"
    )
    inbound = ("policy", "check", file, "--direction", "inbound", "--json")
    assert run(*inbound).data[0]["action"] == "pass"
    refused = run(*inbound, "--auth-results", "ket-qua.txt").data[0]
    assert (refused["action"], refused["code"]) == ("reject", "authentication-failed")
    assert refused["findings"][0]["evidence"]["case"] == "dmarc-reject"


def test_text_files_with_bare_line_feeds_and_stdin_are_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Path(_letter("thu.eml")).read_bytes().replace(b"\r\n", b"\n")
    Path("thu.eml").write_bytes(data)
    assert run("policy", "check", "thu.eml", "--json").data[0]["action"] == "pass"
    # The fixture pipes text; a message is bytes.
    monkeypatch.setattr("io.StringIO", lambda _: io.TextIOWrapper(io.BytesIO(data)))
    assert run("policy", "check", "-", "--json").data[0]["file"] == "-"


def test_what_can_not_be_read_is_told_and_the_others_are_judged(run: Run) -> None:
    Path("folder").mkdir()
    result = run("policy", "check", "fehlt.eml", _letter("thu.eml"), "folder", "--json")
    assert result.exit == 6
    assert [record["file"] for record in result.data] == ["thu.eml"]
    errors = [json.loads(line)["error"] for line in result.stderr.splitlines()]
    assert [error["code"] for error in errors] == ["message-unreadable"] * 2
    assert [error["fields"]["file"] for error in errors] == ["fehlt.eml", "folder"]


def test_another_ruleset_judges_otherwise(run: Run) -> None:
    Path("nhe.toml").write_text('[[rule]]\nkey = "legacy-encoding"\nmode = "record"\n')
    result = run("policy", "check", _legacy_letter("thu.eml"), "--ruleset", "nhe.toml", "--json")
    (record,) = result.data
    assert (result.exit, record["action"], record["code"], record["labels"]) == (0, "pass", "", [])
    assert [finding["action"] for finding in record["findings"]] == ["pass"]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (["check"], 2, "files-or-manifest"),
        (["check", "thu.eml", "--manifest", "m.json"], 2, "files-or-manifest"),
        (["check", "thu.eml", "--direction", "sideways"], 2, "choice-unknown"),
        (["check", "thu.eml", "--ruleset", "fehlt.toml"], 6, "ruleset-unreadable"),
        (["check", "thu.eml", "--ruleset", "bad.toml"], 6, "ruleset-not-valid"),
        (["check", "thu.eml", "--auth-results", "thu.eml"], 6, "auth-results-not-valid"),
        (["check", "thu.eml", "--auth-results", "fehlt.txt"], 6, "file-unreadable"),
        (["check", "--manifest", "fehlt.json"], 6, "file-unreadable"),
        (["check", "--manifest", "bad.toml"], 6, "manifest-not-valid"),
        (["check", "--manifest", "other.json"], 6, "manifest-not-valid"),
    ],
)
def test_mistakes_are_told_plainly(
    run: Run, arguments: list[str], exit_code: int, code: str
) -> None:
    _letter("thu.eml")
    Path("bad.toml").write_text('[[rule]]\nkey = "macros"\n\n[[rule]]\nkey = "macro"\nmode = 1\n')
    Path("other.json").write_text('{"format": 2, "cases": []}')
    result = run("policy", *arguments, "--json")
    assert (result.exit, result.error["code"]) == (exit_code, code)
    assert result.error["mend"]


def test_every_fault_of_a_ruleset_is_told_with_line_and_rule(run: Run) -> None:
    Path("bad.toml").write_text('[[rule]]\nkey = "macros"\n\n[[rule]]\nkey = "macro"\nmode = 1\n')
    text = run("policy", "list", "--ruleset", "bad.toml", "--lang", "en").stderr
    assert "line 2, rule 1 `macros`: there is no rule `macros`; did you mean `macro`?" in text
    assert "line 6, rule 2 `macro`: `mode` must be text" in text


# Manifests --------------------------------------------------------------------------------------


def _manifest(*cases: dict[str, Any]) -> str:
    environment = {
        "local_domains": ["tinhmau.gov.vn"],
        "free_mail_domains_include": ["thu.test"],
        "accounts": [{"address": AN, "may_send_as": [AN, "vanthu@tinhmau.gov.vn"]}],
        "max_message_bytes": 20_000,
    }
    usual = {
        "route": "submission",
        "login": AN,
        "mail_from": AN,
        "rcpt_to": ["vanphong@bomau.gov.vn"],
        "expect": {"action": "accept", "reason": "ok", "doc_type": None},
    }
    rows = [{"id": f"C{n}", **usual, **case} for n, case in enumerate(cases, start=1)]
    text = json.dumps({"format": 1, "environment": environment, "cases": rows})
    Path("m.json").write_text(text)
    return "m.json"


def test_a_manifest_is_judged_in_the_surroundings_that_it_declares(run: Run) -> None:
    _letter("vanthu.eml", From="vanthu@tinhmau.gov.vn")
    _letter("lon.eml", body="@@PAD@@\n")
    Path("lon.eml").write_bytes(
        Path(_letter("lon.eml")).read_bytes().replace(b"\r\n\r\n", b"\r\n\r\n@@PAD@@\r\n", 1)
    )
    manifest = _manifest(
        {"file": _letter("thuong.eml")},
        {"file": "vanthu.eml", "mail_from": "vanthu@tinhmau.gov.vn"},
        {"file": "thuong.eml", "rcpt_to": ["a@thu.test"], "expect": {"action": "tag"}},
        {
            "file": "lon.eml",
            "pad": {"line": "QUFB" * 15, "count": 400},
            "expect": {"action": "reject", "reason": "oversize"},
        },
        {
            "file": "thuong.eml",
            "login": "binh.tt@tinhmau.gov.vn",
            "expect": {"action": "hold", "also_ok": ["reject"], "reason": "sender-mismatch"},
        },
        {
            "file": "thuong.eml",
            "route": "inbound",
            "login": None,
            "auth": {"spf": "fail", "dkim": "none", "dmarc": "fail"},
            "expect": {"action": "reject", "reason": "auth-fail"},
        },
        {"file": _legacy_letter("cu.eml"), "expect": {"action": "accept"}},
        {"file": "thuong.eml", "expect": {"action": "accept", "doc_type": "thong-bao"}},
    )
    result = run("policy", "check", "--manifest", manifest, "--json")
    assert result.exit == 8
    assert [row["id"] for row in result.data] == [f"C{n}" for n in range(1, 9)]
    assert [row["code"] for row in result.data] == [
        "",
        "",
        "freemail-outbound",
        "message-size",
        "sender-identity",
        "authentication-failed",
        "legacy-encoding",
        "",
    ]
    assert [row["as_wanted"] for row in result.data] == [True] * 6 + [False] * 2


def test_a_manifest_is_told_as_a_table_of_wanted_and_found(run: Run) -> None:
    manifest = _manifest(
        {
            "file": _legacy_letter("cu.eml"),
            "expect": {"action": "reject", "reason": "legacy-charset"},
        }
    )
    result = run("policy", "check", "--manifest", manifest, "--format", "table", "--lang", "en")
    assert "C1" in result.stdout
    assert "reject legacy-encoding" in result.stdout
    assert "1 of 1" in result.stderr
    assert result.exit == 8  # it is refused, as wanted
    assert run("policy", "check", "--manifest", manifest, "--as-wanted", "--json").exit == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"route": "sideways"}, "C1"),
        ({"file": None}, "C1"),
        ({"auth": {"spf": "perhaps"}}, "perhaps"),
        ({"pad": {"line": "x" * 1000, "count": 10**9}}, "pad"),
        ({"expect": {}}, "action"),
    ],
)
def test_a_manifest_that_is_not_valid_is_told_with_its_case(
    run: Run, change: dict[str, Any], named: str
) -> None:
    result = run("policy", "check", "--manifest", _manifest({"file": "a.eml", **change}), "--json")
    assert (result.exit, result.error["code"]) == (6, "manifest-not-valid")
    assert named in result.error["fields"]["reason"]


def test_signatures_are_checked_against_the_signers_that_a_manifest_trusts(run: Run) -> None:
    entity = b"Content-Type: text/plain; charset=utf-8\r\n\r\nKinh gui.\r\n"
    signed = signers.clear_signed(entity, signers.holder(mail=AN), AN)
    Path("ky.eml").write_bytes(signed)
    Path("sua.eml").write_bytes(signed.replace(b"Kinh gui", b"Thua ong"))
    manifest = Path(
        _manifest(
            {"file": "ky.eml", "signature": "valid"},
            {
                "file": "sua.eml",
                "signature": "invalid",
                "expect": {"action": "hold", "reason": "signature-invalid"},
            },
            {"file": _letter("khong.eml"), "signature": "none"},
        )
    )
    environment = json.loads(manifest.read_text())
    environment["environment"]["trusted_signers"] = ["goc.pem"]
    manifest.write_text(json.dumps(environment))
    missing = run("policy", "check", "--manifest", str(manifest), "--json")
    assert (missing.exit, missing.error["code"]) == (6, "trust-roots-unreadable")
    Path("goc.pem").write_bytes(signers.authority().pem)
    rows = run("policy", "check", "--manifest", str(manifest), "--json").data
    assert [row["as_wanted"] for row in rows] == [True, True, True]
    Path("goc.pem").write_bytes(signers.authority("CA khác").pem)
    rows = run("policy", "check", "--manifest", str(manifest), "--json").data
    assert [row["as_wanted"] for row in rows] == [False, True, True]
    assert rows[0]["code"] == "signature-untrusted"


@pytest.mark.corpus
def test_the_labelled_samples_are_judged_as_labelled_by_sandboxed_readers(
    run: Run, corpus: Path
) -> None:
    manifest = corpus / "policy-samples" / "manifest.json"
    rows = run("policy", "check", "--manifest", str(manifest), "--json").data
    other = {row["id"]: (row["action"], row["code"]) for row in rows if not row["as_wanted"]}
    assert other == {}
    by_id = {row["id"]: row for row in rows}
    assert by_id["P18"]["action"] == "pass"
    assert (by_id["P19"]["action"], by_id["P19"]["code"]) == ("reject", "signature-valid")


def test_tables_for_people_say_levels_and_directions_in_their_language(
    folder: Path, run: Run
) -> None:
    table = run("policy", "list", "--format", "table", "--lang", "vi").stdout
    assert "document: từ chối" in table
    assert "gửi đi, gửi đến, nội bộ" in table
    assert "inbound" in run("policy", "list", "--lang", "vi").stdout


def test_a_manifest_ends_badly_when_anything_is_not_as_wanted(run: Run) -> None:
    refused = {"action": "reject", "reason": "secrecy-mark"}
    as_wanted = _manifest({"file": _letter("a.eml")})
    assert run("policy", "check", "--manifest", as_wanted, "--json").exit == 0
    not_as_wanted = _manifest({"file": _letter("a.eml"), "expect": refused})
    for option in ([], ["--as-wanted"]):
        result = run(
            "policy",
            "check",
            "--manifest",
            not_as_wanted,
            *option,
            "--format",
            "table",
            "--lang",
            "en",
        )
        assert result.exit == 8
        assert "reject secret-mark" in result.stdout
        assert "accept" in result.stdout
        assert "0 of 1" in result.stderr
