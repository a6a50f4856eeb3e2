"""Everything that is one person's, out and in again: what the routes and the command line both do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import IO, Any

from pydantic import ValidationError

from yearling.api.conversations import personal_schemas as schemas
from yearling.errors import BadInput
from yearling.feedback import Carried, FeedbackLog, bring_back, own_acts
from yearling.store import Imported, Removed, export, import_file


def export_person(log: FeedbackLog, person_id: str, file: IO[bytes]) -> dict[str, int]:
    """Write a zip of everything that is a person's; returns how much there was of each kind."""
    return export(log.store, person_id, file, feedback=own_acts(log, person_id))


def import_for_person(log: FeedbackLog, person_id: str, file: IO[bytes], *, may_judge: bool = True) -> Imported:
    """Take in the export of a chat program or of a Yearling; judgements in it only for who `may_judge` here and now.

    Raises BadInput, Untrusted, StorageFailed.
    """
    return import_file(
        log.store,
        person_id,
        file,
        most_bytes=log.store.settings.max_import_bytes,
        checked_settings=_checked_settings,
        take_acts=partial(bring_back, log, person_id) if may_judge else _no_acts,
    )


def delete_conversation(log: FeedbackLog, person_id: str, conversation_id: str) -> Removed:
    """Delete a conversation with everything that is kept of it. Raises NotFound."""
    removed = log.store.delete_conversation(conversation_id, person_id=person_id)
    log.forget_words(person_id, removed.sample_ids)
    return removed


def import_report(done: Imported) -> dict[str, Any]:
    """What an import did, as plain data."""
    counts = ("conversations", "messages", "samples", "folders", "memories", "judgements", "shares", "blobs", "known")
    left_out = [{"what": what, "reason": why, "count": count} for (what, why), count in sorted(done.left_out.items())]
    return {
        "object": "import",
        "format": done.format,
        **{name: getattr(done, name) for name in counts},
        "left_out": left_out,
    }


def _no_acts(acts: Iterable[Any], _: Mapping[str, str]) -> Carried:
    return Carried(left_out=Counter("this API key has not the scope feedback" for _ in acts))


def _checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """A person's settings out of a file. Raises BadInput for what are none."""
    try:
        return schemas.SettingsChange.model_validate(given).model_dump(exclude_none=True)
    except ValidationError:
        raise BadInput("The settings in the file are none of this Yearling's.") from None
