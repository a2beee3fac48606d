"""Templates and static files, read from the package once."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

if TYPE_CHECKING:
    from mailgov_webmail.visit import Visit

_MEDIA_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of ours. `tag` is in its address, so that browsers may keep it for good."""

    content: bytes
    media_type: str
    tag: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Every file of `static/` by name."""
    found = {}
    for entry in files(__package__).joinpath("static").iterdir():
        extension = entry.name.rpartition(".")[2]
        if extension in _MEDIA_TYPES:
            content = entry.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:12]
            found[entry.name] = StaticFile(content, _MEDIA_TYPES[extension], tag)
    return found


@cache
def _environment() -> Environment:
    """Templates, compiled once for the process."""
    return Environment(
        loader=PackageLoader("mailgov_webmail", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
    )


class Templates:
    """Pages in both languages. A name missing in a page is an error, not a blank."""

    def __init__(self) -> None:
        self.static = static_files()
        self._pages = _environment()

    def render(self, template: str, visit: "Visit", **values: Any) -> str:
        """The page of a visit; `t` speaks its language, `visit` knows who asks."""
        return self._pages.get_template(template).render(
            t=visit.words, visit=visit, static=self.static_path, **values
        )

    def static_path(self, name: str) -> str:
        """The address of a static file."""
        return f"/static/{self.static[name].tag}/{name}"
