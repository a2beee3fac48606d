"""A small identity provider on loopback, with keys of its own: authorization code with PKCE."""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

CLIENT, SECRET = "mailgov", "nobody knows"


class IdentityProvider:
    """Whoever comes is signed in as `claims` say; `spoil` changes an identity token before it is signed."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})
        self.claims: dict[str, Any] = {"sub": "1"}
        self.spoil: Callable[[dict[str, Any]], Any] = lambda claims: None
        self.signed_with: Any = None
        self.described: dict[str, Any] = {}
        self.asked: list[str] = []
        self._codes: dict[str, dict[str, str]] = {}
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.get(self)

            def do_POST(self) -> None:
                provider.post(self)

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self._server.server_port}/realm"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """Description, keys, and the page where people sign in, which asks nothing."""
        parts = urlsplit(request.path)
        self.asked.append(parts.path)
        match parts.path.removeprefix("/realm"):
            case "/.well-known/openid-configuration":
                _tell(request, {**self._description(), **self.described})
            case "/keys":
                _tell(request, KeySet([self.key]).as_dict(private=False))
            case "/authorize":
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                assert query["code_challenge_method"] == "S256"
                assert (query["response_type"], query["client_id"]) == ("code", CLIENT)
                code = secrets.token_urlsafe(16)
                self._codes[code] = query
                back = urlencode({"code": code, "state": query["state"]})
                request.send_response(302)
                request.send_header("Location", f"{query['redirect_uri']}?{back}")
                request.end_headers()
            case _:
                request.send_error(404)

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """A code for an identity token, once, for whoever has the verifier and the secret."""
        body = request.rfile.read(int(request.headers["Content-Length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        good = (
            asked is not None
            and asked["code_challenge"] == challenge
            and asked["redirect_uri"] == form["redirect_uri"]
            and form.get("client_secret") == SECRET
        )
        if not good or asked is None:
            _tell(request, {"error": "invalid_grant"}, 400)
            return
        _tell(request, {"token_type": "Bearer", "id_token": self.token(asked["nonce"])})

    def token(self, nonce: str) -> str:
        """An identity token for whoever is signed in."""
        now = int(self._clock().timestamp())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            **self.claims,
        }
        self.spoil(claims)
        key = self.signed_with or self.key
        return jwt.encode({"alg": "ES256", "kid": "one"}, claims, key)

    def _description(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "end_session_endpoint": f"{self.issuer}/end",
        }


def _tell(request: BaseHTTPRequestHandler, content: Any, status: int = 200) -> None:
    body = json.dumps(content).encode()
    request.send_response(status)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)
