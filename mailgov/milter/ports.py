"""What the milter face needs of the directory."""

from typing import Protocol


class Directory(Protocol):
    """Who is ours."""

    async def is_local_domain(self, domain: str) -> bool:
        """Whether we receive mail for the domain. Raises Unavailable."""
