"""A client for OpenID Connect: the authorization code flow with PKCE.

Sources: OpenID Connect Core 1.0, section 3.1; OpenID Connect Discovery 1.0; RFC 7636 (PKCE); RFC 9207 (issuer in the response).
authlib and joserfc parse tokens and check signatures and claims. This module is independent of Yearling's people and sessions.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from yearling.api.http.json_response import JsonObject
from yearling.errors import NotAllowed, Unavailable, Untrusted
from yearling.outbound import JsonFetcher

if TYPE_CHECKING:
    from joserfc.jwk import KeySetSerialization
    from joserfc.jwt import Token

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Public-key signatures only. With a shared secret or no signature, anyone who knows the client could forge tokens."""

_METADATA_TTL_S = 3600.0
_CLOCK_SKEW_S = 60
_FALLBACK_NAME = "Somebody"


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcAuthorization:
    """The random values of one sign-in, which the provider's response must match."""

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcIdentity:
    """A person's identity at the provider. `issuer` and `subject` together never change; `name` is for display."""

    issuer: str
    subject: str
    name: str


class OidcProvider:
    """One provider, identified by its issuer URL."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, fetcher: JsonFetcher) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._fetcher = fetcher
        self._metadata: tuple[float, JsonObject] = (0.0, {})
        self._keys: JsonObject = {}
        self._schemes = ("https", urlsplit(issuer).scheme)

    async def start_authorization(self, redirect_uri: str) -> tuple[str, OidcAuthorization]:
        """The provider's URL to open in the browser, and the values to keep until the browser comes back.

        Raises Unavailable, BadInput, and Untrusted for unusable provider metadata.
        """
        from authlib.common.security import generate_token
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = await self._discover()
        authorization = OidcAuthorization(
            state=generate_token(43), nonce=generate_token(43), code_verifier=generate_token(64), redirect_uri=redirect_uri
        )
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self._client_id,
            "code",
            redirect_uri=redirect_uri,
            scope="openid profile email",
            state=authorization.state,
            nonce=authorization.nonce,
            code_challenge=create_s256_code_challenge(authorization.code_verifier),
            code_challenge_method="S256",
        )
        return str(url), authorization

    async def complete_authorization(self, authorization: OidcAuthorization, callback_params: Mapping[str, str]) -> OidcIdentity:
        """The identity behind the browser's return. `callback_params` is the query of the redirect.

        Raises NotAllowed if the provider denies access, Untrusted for a response that does not match, and Unavailable.
        """
        if not hmac.compare_digest(callback_params.get("state", "").encode(), authorization.state.encode()):
            raise Untrusted("The provider's response does not belong to this sign-in.")
        if callback_params.get("iss", self.issuer) != self.issuer:
            raise Untrusted("The response comes from another provider.")
        if "error" in callback_params or not callback_params.get("code"):
            raise NotAllowed("The provider denied access.", param="provider")
        metadata = await self._discover()
        token = await self._exchange_code(metadata, authorization, callback_params["code"])
        return self._identity_from_claims(await self._validated_claims(metadata, authorization, token))

    async def _discover(self) -> JsonObject:
        from authlib.oidc.discovery import OpenIDProviderMetadata

        fetched_at, cached = self._metadata
        if cached and time.monotonic() - fetched_at < _METADATA_TTL_S:
            return cached
        metadata = await self._fetcher.get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        # Discovery, section 4.3: otherwise one provider could speak for another.
        if metadata.get("issuer") != self.issuer:
            raise Untrusted("The provider's metadata belongs to another issuer.", advice="Correct the setting oidc_issuer.")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if urlsplit(str(metadata.get(name, ""))).scheme not in self._schemes:
                raise Untrusted(f"The provider's metadata has no usable {name}.")
        if self.issuer.startswith("https:"):
            try:
                OpenIDProviderMetadata(metadata).validate()
            except ValueError as error:
                raise Untrusted(f"The provider's metadata is invalid: {error}.") from None
        self._metadata = (time.monotonic(), metadata)
        return metadata

    async def _exchange_code(self, metadata: Mapping[str, Any], authorization: OidcAuthorization, code: str) -> JsonObject:
        from authlib.common.urls import url_encode
        from authlib.oauth2.auth import ClientAuth

        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": authorization.redirect_uri,
            "code_verifier": authorization.code_verifier,
        }
        supported = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = next(
            (name for name in ("client_secret_basic", "client_secret_post") if name in supported), "client_secret_basic"
        )
        auth = ClientAuth(self._client_id, self._client_secret, method if self._client_secret else "none")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, url_encode(fields.items()))
        return await self._fetcher.post(url, headers=headers, body=body.encode() if isinstance(body, str) else body)

    async def _validated_claims(
        self, metadata: Mapping[str, Any], authorization: OidcAuthorization, token: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        id_token = token.get("id_token")
        if not isinstance(id_token, str):
            raise Untrusted("The provider returned no identity.")
        try:
            decoded = await self._decode_id_token(metadata, id_token)
            claims: Mapping[str, Any] = CodeIDToken(
                decoded.claims,
                decoded.header,
                {"iss": {"essential": True, "value": self.issuer}, "aud": {"essential": True, "value": self._client_id}},
                {"nonce": authorization.nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
            )
            claims.validate(leeway=_CLOCK_SKEW_S)  # type: ignore[attr-defined]
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Untrusted(f"The provider's token is invalid ({type(error).__name__}).") from None
        return claims

    async def _decode_id_token(self, metadata: Mapping[str, Any], id_token: str) -> Token:
        """The token, verified with a key of the provider. An unknown key makes the keys be fetched again."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError
        from joserfc.jwk import KeySet

        supported = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [algorithm for algorithm in supported if algorithm in ALGORITHMS]
        for fetch_again in (False, True):
            if fetch_again or not self._keys:
                self._keys = await self._fetcher.get(metadata["jwks_uri"])
            try:
                key_set = KeySet.import_key_set(cast("KeySetSerialization", self._keys))
                return jwt.decode(id_token, key_set, algorithms=algorithms)
            except InvalidKeyIdError:
                if fetch_again:
                    raise
        raise Unavailable("The provider's keys cannot be read.")

    def _identity_from_claims(self, claims: Mapping[str, Any]) -> OidcIdentity:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise Untrusted("The provider returned no valid subject.")
        values = (claims.get(name) for name in ("name", "preferred_username", "nickname", "email"))
        name = next((value.partition("@")[0].strip() for value in values if isinstance(value, str) and value.strip()), "")
        name = "".join(filter(str.isprintable, name))[:50].strip()
        return OidcIdentity(issuer=self.issuer, subject=subject, name=name or _FALLBACK_NAME)
