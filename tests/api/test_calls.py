"""Calls over HTTP: what is offered, what is answered, what is refused."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from mailgov.clock import local_date, utc_now
from mailgov.db.models import ApiToken, EventRow, Mailbox
from mailgov.directory.api_tokens import add_api_token, revoke_api_token
from mailgov.directory.provisioning import Act, resume, suspend
from mailgov_cli.exits import Exit
from mailgov_cli.grammar import Place
from mailgov_cli.remote.answers import STATUS
from mailgov_cli.remote.tree import commands

from .conftest import CHIEF, Site

# Verbs that look and never touch. A command with another verb and without --dry-run, --reason or --yes
# must say `changes=True` or `changes=False` where it is registered.
LOOKING = {
    *("list", "show", "tree", "export", "template", "records", "check", "board", "sources"),
    *("reports", "stats", "trace", "explain", "lint", "simulate", "run", "rows", "doctor"),
    *("conserve", "verify", "search", "history", "profile", "plan", "help", "resolve"),
}


@pytest.fixture
def http(site: Site) -> Iterator[httpx2.Client]:
    """A client with the operator's token."""
    with site.client() as client:
        yield client


def events(site: Site, kind: str) -> list[EventRow]:
    """What the ledger has of a kind, oldest first."""
    with site.services.database.read() as session:
        return list(session.exec(select(EventRow).where(EventRow.kind == kind)))


# What is offered -------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_description_has_every_command_and_no_other(site: Site, language: str) -> None:
    with site.client("") as client:
        told = client.get("/api/v1/openapi.json", params={"lang": language}).json()
    assert told["openapi"] == "3.1.0"
    offered = {f"/{one.route}" for one in commands().values() if one.verb.place is Place.ANYWHERE}
    assert set(told["paths"]) == offered
    assert "/serve" not in offered
    assert "/backup/restore" not in offered
    add = told["paths"]["/mailbox/add"]["post"]
    schema = add["requestBody"]["content"]["application/json"]["schema"]
    assert schema["required"] == ["address", "agency"]
    assert schema["properties"]["dry_run"]["type"] == "boolean"
    assert schema["properties"]["quota"] == {
        **schema["properties"]["quota"],
        "minimum": 1,
    }
    for path, operations in told["paths"].items():
        for operation in operations.values():
            assert operation["summary"], path
        assert "post" in operations
    names = [one["operationId"] for ones in told["paths"].values() for one in ones.values()]
    assert len(names) == len(set(names))


def test_descriptions_in_two_languages_differ_in_words_alone(site: Site) -> None:
    with site.client("") as client:
        vi, en = (
            client.get("/api/v1/openapi.json", headers={"Accept-Language": one}).json()
            for one in ("vi-VN, en;q=0.5", "en")
        )
    assert (
        vi["paths"]["/mailbox/add"]["post"]["summary"]
        != (en["paths"]["/mailbox/add"]["post"]["summary"])
    )
    assert vi["paths"].keys() == en["paths"].keys()


def test_what_only_looks_is_known_by_its_verb() -> None:
    looking = {path for path, one in commands().items() if one.offered and not one.verb.changes}
    assert {path for path in looking if path.split()[-1] not in LOOKING} - {
        "mailbox sign-ins"
    } == set()


def test_every_exit_code_has_a_status() -> None:
    assert set(STATUS) == set(Exit)


# What is answered ------------------------------------------------------------------------------


def test_what_looks_can_be_asked_for_by_get(http: httpx2.Client) -> None:
    answer = http.get("/api/v1/mailbox/list", params={"agency": "H99.02", "limit": 1})
    assert answer.status_code == 200
    assert answer.headers["Mailgov-Exit"] == "0"
    told = answer.json()
    assert told["schema"] == "mailbox.list/1"
    assert len(told["data"]) == 1
    after = http.get(
        "/api/v1/mailbox/list", params={"agency": "H99.02", "limit": 1, "after": told["next"]}
    ).json()
    assert after["data"][0]["address"] > told["data"][0]["address"]
    assert after["next"] is None


def test_a_change_is_made_once_and_stands_in_the_ledger(site: Site, http: httpx2.Client) -> None:
    new = {"code": "H99.11", "name": "Sở Xây dựng", "level": "department", "reason": "27/QĐ-UBND"}
    first = http.post("/api/v1/agency/add", json={**new, "dry_run": True}).json()
    assert first["data"][0]["dry_run"] is True
    assert http.get("/api/v1/agency/show", params={"code": "H99.11"}).status_code == 404
    made = http.post("/api/v1/agency/add", json=new).json()
    assert made["schema"] == "agency.add/1"
    assert made["data"][0]["changed"] is True
    assert http.post("/api/v1/agency/add", json=new).json()["data"][0]["changed"] is False
    changed = [one for one in events(site, "directory.changed") if one.data["target"] == "H99.11"]
    token = next(one for one in _tokens(site) if one.label == "operator")
    assert [one.actor for one in changed] == [f"annv@sonoivu.tinhmau.test (token {token.id})"]
    called = [one for one in events(site, "command.called") if one.data["command"] == "agency add"]
    assert {one.data["reason"] for one in called} == {"27/QĐ-UBND"}
    assert {one.data["ip"] for one in called} == {"127.0.0.1"}
    assert [one.data["outcome"] for one in called] == ["0", "0", "0"]


def _tokens(site: Site) -> list[ApiToken]:
    with site.services.database.read() as session:
        return list(session.exec(select(ApiToken)))


@pytest.mark.parametrize(
    ("route", "values", "status", "code"),
    [
        ("agency/show", {"code": "H77"}, 404, "agency-unknown"),
        ("agency/show", {}, 400, "parameter-missing"),
        ("agency/add", {"code": "H99", "name": "Khác", "level": "province"}, 409, "agency-exists"),
        ("agency/add", {"code": "H99.12", "name": "X", "level": "planet"}, 422, "agency-level-not-valid"),
        ("group/remove", {"group": "annv@sonoivu.tinhmau.test", "reason": "x"}, 428, "consent-missing"),
        ("agency/show", {"cod": "H99"}, 422, "api-parameter"),
        ("agency/show", {"code": {"a": 1}}, 422, "api-body"),
        ("agency/add", {"code": "H", "name": "X", "level": "x", "dry_run": "yes"}, 422, "api-body"),
        ("agency/nothing", {}, 404, "api-route-unknown"),
        ("serve", {}, 404, "api-not-offered"),
        ("agency/show", {"code": "H99", "config": "/etc/passwd"}, 422, "api-parameter"),
        ("agency/show", {"code": "H99", "as": "x@y.test"}, 422, "api-parameter"),
    ],
)  # fmt: skip
def test_errors_are_problem_details(
    http: httpx2.Client, route: str, values: dict[str, Any], status: int, code: str
) -> None:
    answer = http.post(f"/api/v1/{route}", json=values)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert told["status"] == status
    assert told["type"] == f"urn:mailgov:error:{code}"
    assert told["title"]
    assert told["detail"]


def test_words_are_in_the_language_of_the_caller(site: Site) -> None:
    titles = []
    for accepted in ("vi", "en-GB, vi;q=0.3"):
        with site.client("operator", **{"Accept-Language": accepted}) as client:
            titles.append(client.post("/api/v1/agency/show", json={"code": "H77"}).json()["title"])
    assert titles == ["không có cơ quan `H77`", "there is no agency `H77`"]


def test_changes_are_not_made_by_get(http: httpx2.Client) -> None:
    answer = http.get(
        "/api/v1/group/remove", params={"group": "a@b.test", "yes": "true", "reason": "x"}
    )
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")


# Files -----------------------------------------------------------------------------------------

STAFF = "staff_no,full_name,agency_code\nVC-30,Vũ Thị Khuê,H99.02\nVC-31,Lý Văn Lâm,H99.98\n"


def _upload(values: dict[str, Any], name: str, content: str) -> dict[str, Any]:
    return {"data": {"call": json.dumps(values)}, "files": [("file", (name, content.encode()))]}


def test_a_sheet_goes_up_and_what_was_rejected_comes_back(http: httpx2.Client) -> None:
    answer = http.post(
        "/api/v1/mailbox/import", **_upload({"file": "cb.csv", "yes": True}, "cb.csv", STAFF)
    )
    assert answer.status_code == 200
    assert answer.headers["Mailgov-Exit"] == "7"
    assert answer.json()["schema"] == "mailbox.import/1"
    where = answer.links["item"]["url"]
    assert where.endswith("/files/cb.loi.xlsx")
    workbook = http.get(where)
    assert workbook.content.startswith(b"PK")
    assert workbook.headers["Content-Disposition"].startswith("attachment")


def test_a_file_can_be_asked_for(http: httpx2.Client) -> None:
    answer = http.post("/api/v1/mailbox/export", json={"output": "ra.csv", "format": "csv"})
    (file,) = answer.json()["data"]["files"]
    content = http.get(file["href"]).content
    assert content.startswith(b"staff_no,")
    assert len(content) == file["size"]
    assert http.get(file["href"].replace("ra.csv", "..%2f..%2fgiven.json")).status_code in (
        404,
        422,
    )
    assert http.get(file["href"].replace("ra.csv", "khac.csv")).status_code == 404


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../journal.jsonl", "a/../../b", "", "a\0b", "a\\b", "a/" * 9 + "b"]
)
def test_names_lead_nowhere_else(http: httpx2.Client, name: str) -> None:
    for values in (
        {"address": "annv@sonoivu.tinhmau.test", "password_file": name},
        {"address": "annv@sonoivu.tinhmau.test", "output": name},
    ):
        answer = http.post("/api/v1/mailbox/password", json=values)
        assert (answer.status_code, answer.json()["code"]) == (422, "api-file-name"), values
    if name:
        answer = http.post("/api/v1/mailbox/import", **_upload({"file": "x"}, name, "x"))
        assert answer.status_code == 422


def test_no_value_becomes_an_option(http: httpx2.Client) -> None:
    answer = http.post("/api/v1/agency/show", json={"code": "--config=/etc/passwd"})
    assert (answer.status_code, answer.json()["code"]) == (404, "agency-unknown")


def test_bodies_have_a_limit(site: Site, http: httpx2.Client) -> None:
    most = site.services.config.api.body_bytes
    answer = http.post(
        "/api/v1/agency/show",
        content=b'{"code": "' + b"x" * most + b'"}',
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "api-too-large")


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_bodies_that_are_no_object_are_refused(http: httpx2.Client, body: bytes) -> None:
    answer = http.post(
        "/api/v1/agency/show", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "api-body")


# Runs ------------------------------------------------------------------------------------------


def test_a_repeated_call_is_the_same_call(site: Site, http: httpx2.Client) -> None:
    new = {"code": "H99.13", "name": "Sở Công Thương", "level": "department"}
    key = {"Idempotency-Key": "a-1"}
    first = http.post("/api/v1/agency/add", json=new, headers=key)
    again = http.post("/api/v1/agency/add", json=new, headers=key)
    assert again.json() == first.json()
    assert again.json()["data"][0]["changed"] is True  # what the first call did, not a second one
    assert again.headers["Mailgov-Run"] == first.headers["Mailgov-Run"]
    other = http.post("/api/v1/agency/add", json={**new, "name": "Khác"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "api-key-reused")
    with site.client("narrow") as somebody:
        theirs = somebody.get("/api/v1/agency/list", headers=key)
        assert theirs.headers["Mailgov-Run"] != first.headers["Mailgov-Run"]


def test_who_does_not_wait_comes_back_for_the_result(site: Site, http: httpx2.Client) -> None:
    begun = http.post("/api/v1/agency/list", json={}, headers={"Prefer": "respond-async"})
    assert begun.status_code == 202
    where = begun.headers["Location"]
    result = http.get(f"{where}/result")
    assert result.json()["schema"] == "agency.list/1"
    state = http.get(where).json()["data"]
    assert (state["state"], state["exit"], state["command"]) == ("ended", 0, "agency list")
    lines = [json.loads(line) for line in http.get(f"{where}/events").text.splitlines()]
    assert lines[-1]["exit"] == 0
    rest = [json.loads(line) for line in http.get(f"{where}/events?after=1").text.splitlines()]
    assert rest == lines[1:]
    for token in ("reader", "chief"):
        with site.client(token) as somebody:
            assert somebody.get(f"{where}/result").status_code == 404


def test_calls_at_once_mix_nothing(site: Site) -> None:
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        token, code = (("operator", "H99"), ("chief", "H99.47"))[number % 2]
        with site.client(token, **{"Accept-Language": ("vi", "en")[number % 3 == 0]}) as client:
            answer = client.post("/api/v1/agency/list", json={"format": "json"})
            answers[number] = (token, code, answer.status_code, answer.json())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    for token, code, status, told in answers.values():
        assert status == 200
        codes = {one["code"] for one in told["data"]}
        assert code in codes
        assert ("H99.02" in codes) is (token == "operator")
    assert len(answers) == 8


def test_an_interrupted_import_goes_on_where_it_stopped(site: Site, http: httpx2.Client) -> None:
    rows = 3000
    sheet = "staff_no,full_name,agency_code\n" + "".join(
        f"VC-5{number:05},Nguyễn Thị {_letters(number)},H99.02\n" for number in range(rows)
    )
    call = _upload({"file": "lon.csv", "yes": True}, "lon.csv", sheet)
    progress, end, run_id = 0, {}, ""
    with http.stream(
        "POST", "/api/v1/mailbox/import", headers={"Accept": "application/jsonl"}, **call
    ) as answer:
        run_id = answer.headers["Mailgov-Run"]
        for line in answer.iter_lines():
            entry = json.loads(line)
            if "progress" in entry and not progress:
                progress = entry["progress"]["done"]
                assert http.delete(f"/api/v1/runs/{run_id}").status_code == 204
            end = entry
    assert progress > 0
    assert end["exit"] == Exit.INTERRUPTED
    job = http.get("/api/v1/job/list", params={"limit": 1}).json()["data"][0]
    assert job["state"] == "running"
    resumed = http.post("/api/v1/job/resume", json={"job": job["job"]})
    assert resumed.status_code == 200
    with site.services.database.read() as session:
        boxes = session.exec(
            select(Mailbox.display_name).where(Mailbox.display_name.startswith("Nguyễn Thị "))  # type: ignore[attr-defined]  # a column
        ).all()
    assert len(boxes) == rows
    assert len(set(boxes)) == rows


def _letters(number: int) -> str:
    """A name that no other number has."""
    name = ""
    for _ in range(4):
        number, sign = divmod(number, 24)
        name += "abcdeghiklmnopqrstuvxyyy"[sign] if sign < 22 else "ăâ"[sign - 22]
    return name.capitalize()


# Who comes in ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shown", "code"),
    [
        ("", "token-missing"),
        ("Basic YTpi", "token-missing"),
        ("Bearer mailgov_" + "A" * 43, "token-refused"),
        ("Bearer x", "token-refused"),
    ],
)
def test_without_a_token_nobody_comes_in(site: Site, shown: str, code: str) -> None:
    with site.client("") as client:
        headers = {"Authorization": shown} if shown else {}
        answer = client.get("/api/v1/agency/list", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def _shown(site: Site, token: str) -> tuple[int, str]:
    with site.client("") as client:
        answer = client.get("/api/v1/agency/list", headers={"Authorization": f"Bearer {token}"})
    return answer.status_code, answer.json().get("code", "")


def test_tokens_end(site: Site) -> None:
    act = Act("cli:test", utc_now(), "thử")
    today = local_date(act.at)
    with site.services.database.write() as session:
        made = add_api_token(session, act, CHIEF, label="a", expires_on=today)
        number = int(made.change.changes["id"][1])
    assert _shown(site, made.token) == (200, "")
    with site.services.database.write() as session:
        row = session.get_one(ApiToken, number)
        row.expires_on = today - timedelta(days=1)
        session.add(row)
    assert _shown(site, made.token) == (401, "token-expired")
    with site.services.database.write() as session:
        row.expires_on = today
        session.add(row)
    assert _shown(site, made.token) == (200, "")
    with site.services.database.write() as session:
        suspend(session, act, CHIEF)
    assert _shown(site, made.token) == (401, "token-refused")
    with site.services.database.write() as session:
        resume(session, act, CHIEF)
        revoke_api_token(session, act, number)
    assert _shown(site, made.token) == (401, "token-expired")


def test_a_token_is_kept_in_no_form_that_opens(site: Site) -> None:
    file = site.services.config.data.path / "mailgov.db"
    content = file.read_bytes() + file.with_name("mailgov.db-wal").read_bytes()
    for token in site.tokens.values():
        assert token.encode() not in content
        assert token.removeprefix("mailgov_").encode() not in content


@pytest.mark.parametrize(
    ("token", "route", "values", "code"),
    [
        ("reader", "agency/list", {}, ""),
        ("reader", "agency/edit", {"code": "H99", "headcount": 3}, "token-reads-only"),
        ("reader", "job/resume", {"job": "x"}, "token-reads-only"),
        ("groups", "group/list", {}, ""),
        ("groups", "alias/list", {}, ""),
        ("groups", "alias/add", {"address": "a@b.test", "mailbox": "c@b.test"}, "token-not-for-this"),
        ("groups", "agency/list", {}, "token-not-for-this"),
        ("chief", "doctor", {}, "act-not-allowed"),
        ("auditor", "agency/edit", {"code": "H99", "headcount": 3}, "act-not-allowed"),
        ("auditor", "agency/list", {}, ""),
    ],
)  # fmt: skip
def test_tokens_open_what_they_are_for(
    site: Site, token: str, route: str, values: dict[str, Any], code: str
) -> None:
    with site.client(token) as client:
        answer = client.post(f"/api/v1/{route}", json=values)
    told = answer.json()
    assert (answer.status_code, told.get("code", "")) == (403 if code else 200, code)


@pytest.mark.parametrize("token", ["chief", "narrow"])
@pytest.mark.parametrize(
    ("route", "values"),
    [
        ("agency/show", {"code": "H99.02"}),
        ("agency/edit", {"code": "H99.02", "headcount": 5}),
        ("mailbox/show", {"address": "annv@sonoivu.tinhmau.test"}),
        ("mailbox/suspend", {"address": "annv@sonoivu.tinhmau.test", "reason": "x"}),
        ("domain/show", {"name": "sonoivu.tinhmau.test"}),
    ],
)
def test_a_branch_is_all_there_is(
    site: Site, token: str, route: str, values: dict[str, Any]
) -> None:
    with site.client(token) as client:
        assert client.post(f"/api/v1/{route}", json=values).status_code == 404
        told = client.post("/api/v1/agency/list", json={}).json()["data"]
        assert [one["code"] for one in told] == ["H99.47"]


def test_a_proxy_that_was_asked_without_tls_passes_no_token(site: Site) -> None:
    for scheme, status in (("http", 401), ("https", 200)):
        with site.client(
            "operator", **{"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": scheme}
        ) as client:
            assert client.get("/api/v1/agency/list").status_code == status


def test_guessing_is_held_off_and_the_right_token_is_not(site: Site) -> None:
    most = site.services.config.limits.failed_logins_per_minute
    elsewhere = {"X-Forwarded-For": "198.51.100.9", "X-Forwarded-Proto": "https"}
    codes = []
    with site.client("", **elsewhere) as client:
        for number in range(most + 1):
            guess = {"Authorization": f"Bearer mailgov_{number:043}"}
            codes.append(client.get("/api/v1/agency/list", headers=guess).json()["code"])
    assert codes == ["token-refused"] * most + ["sign-in-later"]
    with site.client("operator", **elsewhere) as client:
        assert client.get("/api/v1/agency/list").status_code == 200


def test_what_was_under_way_when_the_server_ended_is_called_lost(
    local_site: Path, prepared_site: tuple[Path, dict[str, str]]
) -> None:
    from mailgov.db.models import ApiRun

    from .conftest import serving

    run_id = "0123456789abcdef01234567"
    folder = local_site / "data" / "api" / run_id
    (folder / "files").mkdir(parents=True)
    (folder / "journal.jsonl").write_text('{"err": "nửa chừng\\n"}\n{"ou')
    with serving(local_site, "http", listen="127.0.0.1:0") as (url, services):
        with services.database.write() as session:
            token = session.exec(select(ApiToken).where(ApiToken.label == "operator")).one()
            assert token.id is not None
            session.add(
                ApiRun(id=run_id, token_id=token.id, request_digest="", command="x", state="lost")
            )
        headers = {"Authorization": f"Bearer {prepared_site[1]['operator']}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=60) as client:
            answer = client.get(f"/api/v1/runs/{run_id}/result")
    assert (answer.status_code, answer.json()["code"]) == (503, "api-run-lost")
