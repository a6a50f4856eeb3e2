"""The HTTP API: OpenAI-compatible chat, conversations, feedback, people, and training results."""

from yearling.api.app import create_app
from yearling.api.conversations.personal_data import (
    delete_conversation,
    export_personal_data,
    import_personal_data,
    import_report_json,
)
from yearling.api.http.logs import configure_logging
from yearling.api.release.canary_replay import CanaryReplay
from yearling.api.release.drafts import draft_release
from yearling.api.release.service import ReleaseService
from yearling.api.server import serve

__all__ = [
    "CanaryReplay",
    "ReleaseService",
    "configure_logging",
    "create_app",
    "delete_conversation",
    "draft_release",
    "export_personal_data",
    "import_personal_data",
    "import_report_json",
    "serve",
]
