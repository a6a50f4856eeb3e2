"""Export, import and deletion of a person's data, for the routes and the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import IO, Any

from pydantic import ValidationError

from yearling.api.conversations.settings_schemas import SettingsChange
from yearling.api.http.json_response import JsonObject
from yearling.errors import BadInput
from yearling.feedback import ActImportResult, FeedbackLog, export_own_acts, import_own_acts
from yearling.store import DeletedContent, PersonImportResult, export_person_data, import_person_data

_COUNTS = (
    *("conversations", "messages", "samples", "folders", "memories", "corrections", "judgements", "shares", "blobs"),
    *("known", "updated"),
)
"""Counts of an import that the report repeats."""


def export_personal_data(log: FeedbackLog, person_id: str, file: IO[bytes]) -> dict[str, int]:
    """Write a zip with all data of a person. Returns the number of objects by kind."""
    return export_person_data(log.store, person_id, file, feedback=export_own_acts(log, person_id))


def import_personal_data(log: FeedbackLog, person_id: str, file: IO[bytes], *, can_judge: bool = True) -> PersonImportResult:
    """Import an export of another chat program or of Yearling. Without `can_judge`, its judgements are skipped.

    Raises BadInput, Untrusted, StorageFailed.
    """
    return import_person_data(
        log.store,
        person_id,
        file,
        max_bytes=log.store.settings.max_import_bytes,
        validate_settings=_validate_settings,
        import_acts=partial(import_own_acts, log, person_id) if can_judge else _skip_judgements,
    )


def delete_conversation(log: FeedbackLog, person_id: str, conversation_id: str) -> DeletedContent:
    """Delete a conversation and everything that is stored with it. Raises NotFound."""
    deleted = log.store.delete_conversation(conversation_id, person_id=person_id)
    log.delete_own_texts(person_id, deleted.sample_ids)
    return deleted


def import_report_json(result: PersonImportResult) -> JsonObject:
    """The result of an import as a `ConversationImportReport`."""
    skipped = [{"what": what, "reason": reason, "count": count} for (what, reason), count in sorted(result.skipped.items())]
    counts = {name: getattr(result, name) for name in _COUNTS}
    return {"object": "import", "format": result.format, **counts, "left_out": skipped}


def _skip_judgements(acts: Iterable[object], _: Mapping[str, str]) -> ActImportResult:
    return ActImportResult(skipped=Counter("this API key does not have the scope feedback" for _ in acts))


def _validate_settings(values: Mapping[str, Any]) -> JsonObject:
    """The personal settings of an export. Raises BadInput if they are invalid."""
    try:
        return SettingsChange.model_validate(values).model_dump(exclude_none=True)
    except ValidationError:
        raise BadInput("The settings in the file are invalid.") from None
