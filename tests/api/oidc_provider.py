"""A fake OpenID Connect provider on loopback that can also give invalid responses."""

from __future__ import annotations

import base64
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.api.conftest import on_a_socket

CLIENT, SECRET = "yearling", "a secret of the client"


class FakeOidcProvider:
    """Signs everyone in as `subject`. `metadata`, `claims` and `query` override parts of its responses."""

    def __init__(self) -> None:
        self.issuer = ""
        self.subject = "subject-1"
        self.name = "Ada Lovelace"
        self.key = ECKey.generate_key("P-256", {"kid": "one"})
        self.metadata: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.query: dict[str, str] = {}
        self.algorithm = "ES256"
        self.token_reply: Response | None = None
        self.codes: dict[str, dict[str, str]] = {}
        self.requests: list[str] = []
        self.app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._describe),
                Route("/keys", self._keys),
                Route("/authorize", self._authorize),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[FakeOidcProvider, None]:
        async with on_a_socket(self.app) as address:
            self.issuer = address
            yield self

    @property
    def settings(self) -> dict[str, Any]:
        return {"oidc_issuer": self.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET}

    async def _describe(self, request: Request) -> Response:
        self.requests.append("description")
        metadata = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        }
        return JSONResponse(metadata | self.metadata)

    async def _keys(self, request: Request) -> Response:
        self.requests.append("keys")
        return JSONResponse(KeySet([self.key]).as_dict(private=False))

    async def _authorize(self, request: Request) -> Response:
        authorization = dict(request.query_params)
        code = secrets.token_urlsafe(16)
        self.codes[code] = authorization
        answer = {"code": code, "state": authorization["state"], "iss": self.issuer} | self.query
        return RedirectResponse(
            authorization["redirect_uri"] + "?" + "&".join(f"{name}={value}" for name, value in answer.items())
        )

    async def _token(self, request: Request) -> Response:
        self.requests.append("token")
        if self.token_reply is not None:
            return self.token_reply
        form = dict(parse_qsl((await request.body()).decode()))
        authorization = self.codes.pop(form["code"], None)
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if (
            authorization is None
            or request.headers.get("authorization") != f"Basic {basic}"
            or form["redirect_uri"] != authorization["redirect_uri"]
            or create_s256_code_challenge(form["code_verifier"]) != authorization["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": self.subject,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": authorization["nonce"],
            "name": self.name,
        } | self.claims
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "id_token": self._signed(claims)})

    def _signed(self, claims: dict[str, Any]) -> str:
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "ES256":
            return jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)
        if self.algorithm == "HS256":  # signed with a value that is not secret from the client
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(SECRET))
        return jwt.encode({"alg": "none"}, claims, OctKey.import_key("none"), algorithms=["none"])
