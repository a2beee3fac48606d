"""Whose a certificate is: a person's or an agency's."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from mailgov.content.signers import signer_of

from ...support import signers

CASES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "vectors" / "signers.toml").read_text("utf-8")
)["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_whose_a_certificate_is(case: dict[str, Any]) -> None:
    assert signer_of(signers.holder(**case["subject"]).asn1).holder == case["holder"]


def test_names_and_addresses_are_told() -> None:
    found = signer_of(
        signers.holder(
            CN="Lê Văn Ký",
            O="UBND tỉnh Mẫu",
            emailAddress="LV.Ky@Bomau.gov.vn",
            mail="ky@bomau.gov.vn",
        ).asn1
    )
    assert found.name == "Lê Văn Ký"
    assert found.organisation == "UBND tỉnh Mẫu"
    assert found.addresses == ("ky@bomau.gov.vn", "lv.ky@bomau.gov.vn")
