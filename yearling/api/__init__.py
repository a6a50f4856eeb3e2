"""The OpenAI-compatible HTTP API."""

from yearling.api.app import create_app
from yearling.api.conversations.personal_data import delete_conversation, export_person, import_for_person, import_report
from yearling.api.http.logs import configure_logging
from yearling.api.server import serve

__all__ = [
    "configure_logging",
    "create_app",
    "delete_conversation",
    "export_person",
    "import_for_person",
    "import_report",
    "serve",
]
