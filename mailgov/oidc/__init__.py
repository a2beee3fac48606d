"""Signing in by an identity provider (OpenID Connect Core 1.0), for those who have a mailbox already."""

from mailgov.oidc.accounts import Found, find_account
from mailgov.oidc.provider import Begun, Provider

__all__ = ["Begun", "Found", "Provider", "find_account"]
