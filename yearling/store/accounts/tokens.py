"""Secrets that somebody carries: of sessions, of API keys, of invitations. Only their SHA-256 is stored.

A plain hash is enough, since each secret is 256 random bits: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets

API_KEY_PREFIX = "yk_"
"""What API keys begin with, so that one can tell them in a leak."""


def new_token() -> str:
    """256 random bits, in characters that headers and cookies carry as they are."""
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    return API_KEY_PREFIX + new_token()


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
