"""SCIM 2.0 (RFC 7643, RFC 7644) for personnel systems: people and groups through the directory's own services."""

from mailgov.scim.app import Scim

__all__ = ["Scim"]
