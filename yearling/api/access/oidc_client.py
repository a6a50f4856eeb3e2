"""OpenID Connect, the code flow with PKCE (OpenID Connect Core 1.0, section 3.1; RFC 7636; RFC 9207): who somebody is elsewhere.

Parsing, signatures and claims are the work of authlib and joserfc. Knows nothing of our people, and of requests only what comes
back in them.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from yearling.api.http.outbound import JsonFetcher
from yearling.errors import NotAllowed, Unavailable, Untrusted

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
"""Signatures with a public key only: with a shared secret, or none, anybody who knows the client could write tokens."""

_METADATA_S = 3600.0
_CLOCK_SKEW_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcAuthorization:
    """What was made up for one sign-in, and must come back."""

    state: str
    nonce: str
    code_verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcIdentity:
    """Who somebody is at the provider. `issuer` and `subject` together stay the same for good; `name` is for people."""

    issuer: str
    subject: str
    name: str


class OidcProvider:
    """One provider, found by its issuer's address."""

    def __init__(self, issuer: str, client_id: str, client_secret: str, fetcher: JsonFetcher) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._fetcher = fetcher
        self._metadata: tuple[float, dict[str, Any]] = (0.0, {})
        self._keys: dict[str, Any] = {}
        self._schemes = ("https", urlsplit(issuer).scheme)

    async def start_authorization(self, redirect_uri: str) -> tuple[str, OidcAuthorization]:
        """Where the browser is to go, and what to remember. Raises Unavailable, BadInput, Untrusted."""
        from authlib.common.security import generate_token
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
        from authlib.oauth2.rfc7636 import create_s256_code_challenge

        metadata = await self._discover()
        asked = OidcAuthorization(
            state=generate_token(43), nonce=generate_token(43), code_verifier=generate_token(64), redirect_uri=redirect_uri
        )
        url = prepare_grant_uri(
            metadata["authorization_endpoint"],
            self._client_id,
            "code",
            redirect_uri=redirect_uri,
            scope="openid profile email",
            state=asked.state,
            nonce=asked.nonce,
            code_challenge=create_s256_code_challenge(asked.code_verifier),
            code_challenge_method="S256",
        )
        return str(url), asked

    async def complete_authorization(self, authorization: OidcAuthorization, callback_params: Mapping[str, str]) -> OidcIdentity:
        """Who came back. `answer` is the query of the redirect.

        Raises NotAllowed when the provider says no, Untrusted for an answer that is not to what was asked, and Unavailable.
        """
        if not hmac.compare_digest(callback_params.get("state", "").encode(), authorization.state.encode()):
            raise Untrusted("The answer of the provider is not to what was asked.")
        if callback_params.get("iss", self.issuer) != self.issuer:
            raise Untrusted("The answer comes from another provider.")
        if "error" in callback_params or not callback_params.get("code"):
            raise NotAllowed("The provider did not let you in.", param="provider")
        metadata = await self._discover()
        token = await self._exchange_code(metadata, authorization, callback_params["code"])
        return self._identity_from_claims(await self._validated_claims(metadata, authorization, token))

    async def _discover(self) -> dict[str, Any]:
        from authlib.oidc.discovery import OpenIDProviderMetadata

        found_at, metadata = self._metadata
        if metadata and time.monotonic() - found_at < _METADATA_S:
            return metadata
        told = await self._fetcher.get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
        # Section 4.3 of Discovery: else one provider could speak for another.
        if told.get("issuer") != self.issuer:
            raise Untrusted("The provider's description is of another issuer.", advice="Correct oidc_issuer.")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if urlsplit(str(told.get(name, ""))).scheme not in self._schemes:
                raise Untrusted(f"The provider's description has no usable {name}.")
        if self.issuer.startswith("https:"):
            try:
                OpenIDProviderMetadata(told).validate()
            except ValueError as error:
                raise Untrusted(f"The provider's description is not usable: {error}.") from None
        self._metadata = (time.monotonic(), told)
        return told

    async def _exchange_code(self, metadata: Mapping[str, Any], asked: OidcAuthorization, code: str) -> dict[str, Any]:
        from authlib.common.urls import url_encode
        from authlib.oauth2.auth import ClientAuth

        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked.redirect_uri,
            "code_verifier": asked.code_verifier,
        }
        known = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        method = next((one for one in ("client_secret_basic", "client_secret_post") if one in known), "client_secret_basic")
        auth = ClientAuth(self._client_id, self._client_secret, method if self._client_secret else "none")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        url, headers, body = auth.prepare("POST", metadata["token_endpoint"], headers, url_encode(fields.items()))
        return await self._fetcher.post(url, headers=headers, body=body.encode() if isinstance(body, str) else body)

    async def _validated_claims(
        self, metadata: Mapping[str, Any], asked: OidcAuthorization, token: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        from authlib.oidc.core import CodeIDToken
        from joserfc.errors import JoseError

        written = token.get("id_token")
        if not isinstance(written, str):
            raise Untrusted("The provider told nobody's identity.")
        try:
            decoded = await self._decode_id_token(metadata, written)
            claims = CodeIDToken(
                decoded.claims,
                decoded.header,
                {"iss": {"essential": True, "value": self.issuer}, "aud": {"essential": True, "value": self._client_id}},
                {"nonce": asked.nonce, "client_id": self._client_id, "access_token": token.get("access_token")},
            )
            claims.validate(leeway=_CLOCK_SKEW_S)
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise Untrusted(f"The provider's token is not valid ({type(error).__name__}).") from None
        checked: Mapping[str, Any] = claims
        return checked

    async def _decode_id_token(self, metadata: Mapping[str, Any], id_token: str) -> Any:
        """The token, by a key of the provider; keys are fetched anew for one that is not known yet."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError
        from joserfc.jwk import KeySet

        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        algorithms = [one for one in offered if one in ALGORITHMS]
        for fresh in (False, True):
            if fresh or not self._keys:
                self._keys = await self._fetcher.get(metadata["jwks_uri"])
            try:
                return jwt.decode(id_token, KeySet.import_key_set(self._keys), algorithms=algorithms)  # type: ignore[arg-type]
            except InvalidKeyIdError:
                if fresh:
                    raise
        raise Unavailable("The provider's keys cannot be read.")

    def _identity_from_claims(self, claims: Mapping[str, Any]) -> OidcIdentity:
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise Untrusted("The provider named nobody.")
        names = (claims.get(name) for name in ("name", "preferred_username", "nickname", "email"))
        name = next((one.partition("@")[0].strip() for one in names if isinstance(one, str) and one.strip()), "Somebody")
        name = "".join(filter(str.isprintable, name))[:50].strip()
        return OidcIdentity(issuer=self.issuer, subject=subject, name=name or "Somebody")
