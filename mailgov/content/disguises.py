"""Files that pretend to be something else, by name, declared type or make-up.

What people confuse every day (a PNG named .jpg, RTF named .doc) is no disguise: see `tolerated` in
`tables/file-kinds.toml`.
"""

import re

from mailgov.content.file_kinds import (
    DIRECTION_SIGNS,
    extension,
    family,
    kinds,
    kinds_named,
    zip_directory_at,
)

_PADDED_EXTENSION = re.compile(r"\s{4,}\.\w+\s*$|\.\w{1,5}\s{3,}")
_MAX_SHOWN = 255


def is_disguised(kind: str, names: tuple[str, ...], declared: str, data: bytes) -> bool:
    """Whether a name, the declared type or the make-up says something else than the bytes.

    `names` are all names that programs may show. Kinds that people confuse every day (a PNG named
    .jpg, RTF named .doc) are no disguise.
    """
    return (
        any(_name_hides(kind, name) for name in names)
        or len({_runs(extension(name)) for name in names}) > 1
        or _type_hides(kind, declared, names)
        or _has_second_reading(kind, data)
    )


def _name_hides(kind: str, name: str) -> bool:
    if (DIRECTION_SIGNS.search(name) or _PADDED_EXTENSION.search(name)) and (
        _runs(extension(name)) or family(kind) == "program"
    ):
        return True
    last = extension(name)
    before = extension(name.rpartition(".")[0]) if last else ""
    if _runs(last) and kinds_named(before) and not _runs(before):
        return True  # bao-cao.pdf.exe
    named = kinds_named(last)
    if not named or kind in named or kind == "empty":
        return False
    families = {family(name) for name in named}
    return not (family(kind) in families and family(kind) in ("image", "media"))


def _runs(extension_: str) -> bool:
    return any(family(kind) == "program" for kind in kinds_named(extension_))


def _type_hides(kind: str, declared: str, names: tuple[str, ...]) -> bool:
    """Declared types are often wrong, so they only count where nothing else tells."""
    main = declared.partition("/")[0]
    if family(kind) == "program":
        return main in ("image", "audio", "video") or any(
            declared in row.types for row in kinds().values() if row.family != "program"
        )
    if any(kinds_named(extension(name)) for name in names):
        return False
    expected = {name for name, row in kinds().items() if declared in row.types}
    if main in ("image", "audio", "video"):
        return family(kind) in ("document", "archive")
    return bool(expected) and kind not in expected and kind not in ("unknown", "empty")


def _has_second_reading(kind: str, data: bytes) -> bool:
    """A picture or PDF that is an archive as well, seen from its end."""
    if family(kind) not in ("image", "document", "text") or kind == "ole":
        return False
    if data.startswith((b"PK", b"\xd0\xcf\x11\xe0")):
        return False
    return zip_directory_at(data) >= 0


def shown_name(name: str) -> str:
    """The name as it may be shown: no direction signs, no controls, at most 255 letters."""
    return "".join(c for c in DIRECTION_SIGNS.sub("", name) if c.isprintable())[:_MAX_SHOWN].strip()
