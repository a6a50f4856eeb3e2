"""Everything that is one person's, out and in again: what the routes and the command line both do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import IO, Any

from pydantic import ValidationError

from yearling.api.conversations import personal_schemas as schemas
from yearling.errors import BadInput
from yearling.feedback import ActImportResult, FeedbackLog, export_own_acts, import_own_acts
from yearling.store import DeletedContent, PersonImportResult, export_person_data, import_person_data


def export_personal_data(log: FeedbackLog, person_id: str, file: IO[bytes]) -> dict[str, int]:
    """Write a zip of everything that is a person's; returns how much there was of each kind."""
    return export_person_data(log.store, person_id, file, feedback=export_own_acts(log, person_id))


def import_personal_data(log: FeedbackLog, person_id: str, file: IO[bytes], *, can_judge: bool = True) -> PersonImportResult:
    """Take in the export of a chat program or of a Yearling; judgements in it only for who `may_judge` here and now.

    Raises BadInput, Untrusted, StorageFailed.
    """
    return import_person_data(
        log.store,
        person_id,
        file,
        max_bytes=log.store.settings.max_import_bytes,
        validate_settings=_validate_settings,
        import_acts=partial(import_own_acts, log, person_id) if can_judge else _reject_judgements,
    )


def delete_conversation(log: FeedbackLog, person_id: str, conversation_id: str) -> DeletedContent:
    """Delete a conversation with everything that is kept of it. Raises NotFound."""
    removed = log.store.delete_conversation(conversation_id, person_id=person_id)
    log.delete_own_texts(person_id, removed.sample_ids)
    return removed


def import_report_json(done: PersonImportResult) -> dict[str, Any]:
    """What an import did, as plain data."""
    counts = ("conversations", "messages", "samples", "folders", "memories", "judgements", "shares", "blobs", "known")
    left_out = [{"what": what, "reason": why, "count": count} for (what, why), count in sorted(done.skipped.items())]
    return {
        "object": "import",
        "format": done.format,
        **{name: getattr(done, name) for name in counts},
        "left_out": left_out,
    }


def _reject_judgements(acts: Iterable[Any], _: Mapping[str, str]) -> ActImportResult:
    return ActImportResult(skipped=Counter("this API key has not the scope feedback" for _ in acts))


def _validate_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """A person's settings out of a file. Raises BadInput for what are none."""
    try:
        return schemas.SettingsChange.model_validate(given).model_dump(exclude_none=True)
    except ValidationError:
        raise BadInput("The settings in the file are none of this Yearling's.") from None
