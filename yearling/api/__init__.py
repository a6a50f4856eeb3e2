"""The OpenAI-compatible HTTP API."""

from yearling.api.app import create_app
from yearling.api.server import serve

__all__ = ["create_app", "serve"]
