"""The published suite for ARC validation, 171 chains; none is excepted."""

from pathlib import Path

import pytest
import yaml

from mailgov.signing.arc import verify_chain

from ...support.dns import FakeResolver
from ..queue.samples import body_of
from .samples import THEN, header_of

WANTED = {"Pass": {"pass"}, "Fail": {"fail"}, "None": {"none"}, "": {"fail"}}


@pytest.mark.corpus
async def test_the_published_suite(corpus: Path) -> None:
    path = corpus / "third-party/auth/arc/arc-draft-validation-tests.yml"
    wrong, tried = [], 0
    for scenario in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        keys = {name.lower(): [text.encode()] for name, text in scenario["txt-records"].items()}
        for name, case in scenario["tests"].items():
            message = case["message"].encode().replace(b"\n", b"\r\n")
            found = await verify_chain(
                header_of(message), body_of(message), FakeResolver(txt_of=keys), lambda: THEN
            )
            tried += 1
            if found.state not in WANTED[case["cv"] or ""]:
                wrong.append(f"{name}: {found} and not {case['cv']}")
    assert wrong == []
    assert tried == 171
