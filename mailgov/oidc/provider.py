"""One provider: where it is, its keys, and what its tokens say.

Authorization code with PKCE (RFC 7636), state and nonce. Keys are fetched once an hour and when a
token names one that is not known, at most once a minute; tokens are checked here, not asked about.
"""

import asyncio
import base64
import hashlib
import json
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx2
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from mailgov.clock import Clock
from mailgov.config import Oidc
from mailgov.errors import NotAllowed, Unavailable

ALGORITHMS = ["RS256", "PS256", "ES256", "ES384"]  # none that needs a shared secret, nor `none`
SECONDS = 10.0
MOST_BYTES = 256 * 1024
LEEWAY_SECONDS = 60  # clocks differ
_KEYS_LAST = timedelta(hours=1)
_KEYS_AGAIN = timedelta(minutes=1)
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in under way, which the browser keeps sealed."""

    state: str
    nonce: str
    verifier: str = field(repr=False)

    @classmethod
    def new(cls) -> "Begun":
        """One that nobody can guess."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))


class Provider:
    """The provider of `[oidc]`. Methods raise Unavailable `oidc-unavailable` when it does not answer."""

    def __init__(self, settings: Oidc, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._metadata: Claims | None = None
        self._keys: KeySet | None = None
        self._fetched_at: datetime | None = None
        self._lock = asyncio.Lock()

    async def address(self, begun: Begun, redirect_uri: str) -> str:
        """Where the browser goes to sign in."""
        challenge = hashlib.sha256(begun.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid email profile",
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        where = await self._endpoint("authorization_endpoint")
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"

    async def finish(self, code: str, begun: Begun, redirect_uri: str) -> Claims:
        """What the provider says of whoever signed in. Raises NotAllowed `oidc-refused`."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self._settings.client_id,
            "code_verifier": begun.verifier,
        }
        secret = await asyncio.to_thread(self._secret)
        if secret:
            form["client_secret"] = secret
        told = await self._fetch(await self._endpoint("token_endpoint"), form)
        claims = await self.checked(str(told.get("id_token", "")), self._settings.client_id)
        if not secrets.compare_digest(str(claims.get("nonce", "")), begun.nonce):
            raise NotAllowed("oidc-refused", reason="nonce")
        return claims

    async def checked(self, token: str, audience: str) -> Claims:
        """The claims of a token that is the provider's, for us, and in force. Raises NotAllowed."""
        now = int(self._clock().timestamp())
        rules = jwt.JWTClaimsRegistry(
            now=now,
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        for fresh in (False, True):
            keys = await self._key_set(fresh=fresh)
            try:
                found = jwt.decode(token, keys, algorithms=ALGORITHMS)
                rules.validate(found.claims)
            except (JoseError, ValueError) as error:
                if fresh:
                    raise NotAllowed("oidc-refused", reason=type(error).__name__) from error
                continue
            return found.claims
        raise AssertionError

    async def end_address(self, back: str) -> str:
        """Where the browser goes to sign out there too (RP-Initiated Logout 1.0); empty: nowhere."""
        where = str((await self._about()).get("end_session_endpoint", ""))
        if not _is_safe(where):
            return ""
        query = {"client_id": self._settings.client_id, "post_logout_redirect_uri": back}
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"

    def _secret(self) -> str:
        file = self._settings.client_secret_file
        try:
            return file.read_text("utf-8").strip() if file else ""
        except OSError as exc:
            raise Unavailable("oidc-unavailable", reason=exc.strerror or "") from exc

    async def _endpoint(self, name: str) -> str:
        where = str((await self._about()).get(name, ""))
        if not _is_safe(where):
            raise Unavailable("oidc-unavailable", reason=name)
        return where

    async def _about(self) -> Claims:
        """OpenID Connect Discovery 1.0, 4: the description must name its own issuer."""
        if self._metadata is None:
            issuer = self._settings.issuer
            told = await self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if told.get("issuer") != issuer:
                raise Unavailable("oidc-unavailable", reason="issuer")
            self._metadata = told
        return self._metadata

    async def _key_set(self, *, fresh: bool) -> KeySet:
        async with self._lock:
            now = self._clock()
            age = now - self._fetched_at if self._fetched_at else _KEYS_LAST
            if self._keys is None or age >= (_KEYS_AGAIN if fresh else _KEYS_LAST):
                told = await self._fetch(await self._endpoint("jwks_uri"))
                try:
                    self._keys = KeySet.import_key_set({"keys": list(told.get("keys", []))})
                except (JoseError, ValueError, TypeError) as exc:
                    raise Unavailable("oidc-unavailable", reason="jwks") from exc
                self._fetched_at = now
            return self._keys

    async def _fetch(self, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
        trusted = await asyncio.to_thread(ssl.create_default_context)
        try:
            async with (
                asyncio.timeout(SECONDS),
                httpx2.AsyncClient(verify=trusted, trust_env=False) as client,
                client.stream("POST" if form else "GET", url, data=form) as answer,
            ):
                content = b""
                async for piece in answer.aiter_bytes():
                    content += piece
                    if len(content) > MOST_BYTES:
                        raise Unavailable("oidc-unavailable", reason="size")
                refused = form is not None and 400 <= answer.status_code < 500
        except (httpx2.HTTPError, TimeoutError) as exc:
            raise Unavailable("oidc-unavailable", reason=type(exc).__name__) from exc
        if refused:
            raise NotAllowed("oidc-refused", reason=f"HTTP {answer.status_code}")
        try:
            told = json.loads(content)
        except ValueError as exc:
            raise Unavailable("oidc-unavailable", reason="JSON") from exc
        if answer.status_code != 200 or not isinstance(told, dict):
            raise Unavailable("oidc-unavailable", reason=f"HTTP {answer.status_code}")
        return told


def _is_safe(url: str) -> bool:
    """Tokens and codes travel over TLS, or stay on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
