"""`mailgov dmarc`: the board, its sources, and reports from files."""

import json
from pathlib import Path

import pytest

from mailgov.clock import utc_now
from mailgov.db import Database
from mailgov.db.models import SentReport

from .conftest import Run

DOMAIN = "sonoivu.tinhmau.test"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    now = int(utc_now().timestamp())
    path = tmp_path / "r.xml"
    path.write_text(
        f"""<feedback><report_metadata><org_name>Khác</org_name><email>r@x.test</email>
        <report_id>1</report_id><date_range><begin>{now - 9000}</begin><end>{now}</end></date_range>
        </report_metadata><policy_published><domain>{DOMAIN}</domain><p>none</p></policy_published>
        <record><row><source_ip>192.0.2.7</source_ip><count>5</count><policy_evaluated>
        <disposition>none</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
        <identifiers><header_from>{DOMAIN}</header_from></identifiers><auth_results/></record>
        </feedback>""",
        encoding="utf-8",
    )
    return path


def test_a_report_from_a_file_comes_to_the_board_once(run: Run, folder: Path, report: Path) -> None:
    tried = run("dmarc", "import", str(report), "-n", "--json")
    assert (tried.exit, tried.data[0]["changed"]) == (0, True)
    assert [run("dmarc", "import", str(report), "--json").data[0]["changed"] for _ in range(2)] == [
        True,
        False,
    ]
    lines = {row["domain"]: row for row in run("dmarc", "board", "--json").data}
    assert (lines[DOMAIN]["messages"], lines[DOMAIN]["failing"]) == (5, 5)
    (source,) = run("dmarc", "sources", DOMAIN, "--json").data
    assert (source["source"], source["aligned"]) == ("192.0.2.7", 0)
    (row,) = run("dmarc", "reports", "--json").data
    assert (row["organisation"], row["domain"]) == ("Khác", DOMAIN)
    assert "không đạt" in run("dmarc", "board", "--format", "table").stdout


def test_what_we_sent(run: Run, folder: Path, database: Database) -> None:
    now = utc_now()
    with database.write() as session:
        session.add(
            SentReport(
                kind="dmarc", domain="a.test", begins_at=now, ends_at=now,
                recipients=["r@a.test"], messages=3, made_at=now,
            )
        )  # fmt: skip
    (row,) = run("dmarc", "reports", "--sent", "--json").data
    assert (row["domain"], row["state"], row["recipients"]) == ("a.test", "sent", ["r@a.test"])


def test_a_file_that_is_no_report_changes_nothing(run: Run, folder: Path, report: Path) -> None:
    other = report.with_name("other.json")
    other.write_text(json.dumps({"a": 1}))
    refused = run("dmarc", "import", str(report), str(other), "--lang", "en")
    assert (refused.exit, "can't be read" in refused.stderr) == (6, True)
    assert run("dmarc", "reports", "--json").data == []
    assert run("dmarc", "import", "missing.xml").exit == 6
    assert run("dmarc", "sources", "khongco.test").exit == 3
