"""Bearer tokens: of sessions, API keys, invitations and share links. Only their SHA-256 is stored.

A plain hash suffices because a token is 256 random bits, which nobody can guess.
"""

from __future__ import annotations

import hashlib
import secrets

API_KEY_PREFIX = "yk_"
"""The prefix of API keys, by which scanners for leaked secrets recognise them."""


def new_token() -> str:
    """256 random bits as text that is safe in headers, cookies and URLs."""
    return secrets.token_urlsafe(32)


def new_api_key() -> str:
    """A new API key, prefix included."""
    return API_KEY_PREFIX + new_token()


def hash_token(token: str) -> str:
    """Hexadecimal SHA-256 of a token. Accepts any text, since strangers send it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
