"""The Authentication-Results field: true to the results, closed to tricks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailgov.signing.results import MethodResult, results_field
from mailgov.signing.verify import SignatureResult


@pytest.mark.parametrize(
    ("results", "wanted"),
    [
        ([], b"Authentication-Results: mail.tinhmau.gov.vn;\r\n\tnone\r\n"),
        (
            [SignatureResult("pass", "", "example.vn", "k1", "rsa-sha256", "AbC+/d==").as_method()],
            b"Authentication-Results: mail.tinhmau.gov.vn;\r\n"
            b'\tdkim=pass header.d=example.vn header.s=k1 header.a=rsa-sha256 header.b="AbC+/d=="\r\n',
        ),
        (
            [
                MethodResult("dkim", "fail", (("header.d", "x.vn"),), "body was changed"),
                MethodResult("spf", "none", (("smtp.mailfrom", "a@x.vn"),)),
            ],
            b"Authentication-Results: mail.tinhmau.gov.vn;\r\n"
            b'\tdkim=fail reason="body was changed" header.d=x.vn;\r\n'
            b"\tspf=none smtp.mailfrom=a@x.vn\r\n",
        ),
    ],
    ids=["nothing checked", "pass", "two methods"],
)
def test_results_are_written_as_rfc_8601_says(results: list[MethodResult], wanted: bytes) -> None:
    assert results_field("mail.tinhmau.gov.vn", results) == wanted


@given(value=st.text(max_size=300), reason=st.text(max_size=300))
def test_no_value_starts_a_new_result_or_field(value: str, reason: str) -> None:
    result = MethodResult("dkim", "fail", (("header.s", value),), reason)
    field = results_field("mail.tinhmau.gov.vn", [result])
    lines = field.decode("ascii").split("\r\n")
    assert len(lines) == 3
    assert lines[1].startswith("\tdkim=fail")
    outside = "".join(lines[1].replace("\\\\", "").replace('\\"', "").split('"')[::2])
    assert ";" not in outside
    assert "(" not in outside
