"""Names of files that a caller may use: below the folder of the call, and nowhere else."""

from pathlib import PurePosixPath

from mailgov.errors import InputError

MOST_DEPTH, MOST_BYTES = 8, 255


def safe(name: str) -> PurePosixPath:
    """The name, if it stays below the folder it is used in. Raises InputError `api-file-name`."""
    path = PurePosixPath(name)
    good = (
        name
        and "\0" not in name
        and "\\" not in name
        and not path.is_absolute()
        and 0 < len(path.parts) <= MOST_DEPTH
        and ".." not in path.parts
        and all(len(part.encode()) <= MOST_BYTES for part in path.parts)
        and name.isprintable()
    )
    if not good:
        raise InputError("api-file-name", name=name[:MOST_BYTES])
    return path
