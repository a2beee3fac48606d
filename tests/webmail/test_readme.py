"""The page about the pages names every route."""

from pathlib import Path

import pytest
from starlette.routing import Route

from mailgov_webmail.routes import routes

README = Path(__file__).resolve().parents[2] / "webmail" / "README.md"


@pytest.mark.source
@pytest.mark.parametrize(
    "path", sorted({route.path for route in routes if isinstance(route, Route)})
)
def test_every_route_is_named(path: str) -> None:
    assert f"`{path}`" in README.read_text(encoding="utf-8")
