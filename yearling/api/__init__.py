"""The OpenAI-compatible HTTP API."""

from yearling.api.app import create_app
from yearling.api.logs import configure_logging
from yearling.api.server import serve

__all__ = ["configure_logging", "create_app", "serve"]
