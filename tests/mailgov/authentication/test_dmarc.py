"""DMARC: records, organisations, alignment and the policy that holds."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailgov.authentication.dmarc import DmarcOutcome, evaluate, find_policy
from mailgov.authentication.dmarc_record import find_record, read_record
from mailgov.authentication.organisation import LIST_VERSION, is_aligned, organisation_of
from mailgov.authentication.spf import SpfResult
from mailgov.errors import Unavailable
from mailgov.signing.verify import SignatureResult

from ...support.dns import FakeResolver

CASES = tomllib.loads((Path(__file__).parent / "vectors_dmarc.toml").read_text("utf-8"))["case"]


def resolver_of(case: dict[str, Any]) -> FakeResolver:
    texts = {
        f"_dmarc.{name}": [text.encode() for text in ([value] if isinstance(value, str) else value)]
        for name, value in case.get("records", {}).items()
    }
    return FakeResolver(
        txt_of=texts,
        addresses_of={name: ["192.0.2.1"] for name in case.get("exists", ())},
        broken=frozenset(case.get("broken", ())),
    )


async def outcome_of(case: dict[str, Any]) -> DmarcOutcome:
    author = case["author"]
    try:
        published = await find_policy(author, resolver_of(case))
    except Unavailable:
        return DmarcOutcome("temperror", author)
    result, domain = case.get("spf", ("none", ""))
    return evaluate(
        author,
        published,
        SpfResult(result, domain),
        [SignatureResult(result, domain=domain) for result, domain in case.get("dkim", ())],
        lambda: case.get("chance", 0.0),
    )


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
async def test_alignment_and_policy(case: dict[str, Any]) -> None:
    found = await outcome_of(case)
    assert found.result == case["result"]
    aligned = [name for name in ("dkim", "spf") if getattr(found, f"{name}_aligned")]
    assert aligned == case.get("aligned", [])
    if found.result == "fail":
        assert found.policy == case["policy"]
    if "found_at" in case:
        assert found.found_at == case["found_at"]


@pytest.fixture
def transcribed(corpus: Path) -> Path:
    return corpus / "third-party/auth/transcribed"


@pytest.mark.corpus
def test_published_records(transcribed: Path) -> None:
    vectors = json.loads((transcribed / "dmarc-record.json").read_text("utf-8"))["vectors"]
    wrong = [one["input"] for one in vectors if bool(read_record(one["input"])) != one["valid"]]
    assert wrong == []
    assert len(vectors) == 21


@pytest.mark.corpus
def test_published_alignments(transcribed: Path) -> None:
    vectors = json.loads((transcribed / "dmarc-alignment.json").read_text("utf-8"))["vectors"]
    for vector in vectors:
        given = vector["input"]
        passed = [domain for domain, result in given["dkim"] if result == "pass"]
        relaxed = any(is_aligned(domain, given["from"], strict=False) for domain in passed)
        strict = any(is_aligned(domain, given["from"], strict=True) for domain in passed)
        found = "strict" if strict else "relaxed" if relaxed else None
        assert found == vector["dkim_aligned"], given


@pytest.mark.corpus
def test_published_organisations(corpus: Path) -> None:
    text = (corpus / "third-party/auth/psl/tests/test_psl.txt").read_text("utf-8")
    cases = re.findall(
        r"^checkPublicSuffix\('([^.'][^']*)', (?:'([^']+)'|null)\);", text, re.MULTILINE
    )
    assert len(cases) > 60
    for name, wanted in cases:
        domain = name.lower().encode("idna").decode() if not name.isascii() else name.lower()
        organisation = (wanted or name).lower()
        if not organisation.isascii():
            organisation = organisation.encode("idna").decode()
        assert organisation_of(domain) == organisation, name


def test_each_agency_is_an_organisation_of_its_own() -> None:
    assert organisation_of("stttt.hanoi.gov.vn") == "hanoi.gov.vn"
    assert not is_aligned("hanoi.gov.vn", "danang.gov.vn", strict=False)
    assert is_aligned("a.hanoi.gov.vn", "b.hanoi.gov.vn", strict=False)
    assert not is_aligned("", "hanoi.gov.vn", strict=False)


def test_the_list_says_of_which_day_it_is() -> None:
    assert re.fullmatch(r"[\d.]+\.20\d{6}", LIST_VERSION)


def test_addresses_for_reports_and_their_limits() -> None:
    record = read_record(
        "v=DMARC1; p=none; rua=mailto:a@x.test!10m, https://x.test/r, mailto:b%2Bc@y.test?subject=x"
    )
    assert record is not None
    assert [(str(one.address), one.max_bytes) for one in record.reports] == [
        ("a@x.test", 10 << 20),
        ("b+c@y.test", None),
    ]


@pytest.mark.parametrize(
    ("text", "policy", "subdomains"),
    [
        ("v=DMARC1; p=REJECT", "reject", "reject"),
        ("v=DMARC1;p=reject;sp=quarantine", "reject", "quarantine"),
        ("v=DMARC1; p=oops; rua=mailto:a@x.test", "none", "none"),  # RFC 7489, 6.6.3
        ("v=DMARC1; p=reject; sp=oops; rua=mailto:a@x.test", "none", "none"),
        ("v=DMARC1; p=reject; pct=900; junk", "reject", "reject"),
    ],
)
def test_what_is_wrong_counts_as_not_said(text: str, policy: str, subdomains: str) -> None:
    record = read_record(text)
    assert record is not None
    assert (record.policy, record.subdomains, record.percent) == (policy, subdomains, 100)


def test_texts_that_are_no_records() -> None:
    assert find_record([b"v=DMARC1; p=none; x=\xff"]) is not None
    assert find_record([b"\xff\xfe", b"v=DMARC2; p=none"]) is None
