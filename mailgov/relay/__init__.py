"""SMTP in: mail from other servers and from users."""

from mailgov.relay.server import RelayServer

__all__ = ["RelayServer"]
