"""The one moment at which a merge holds: the transaction that stores the corrections and the audit entry.

Before it, only the merged adapter is published, which nothing uses yet, and `publishing.json` says so. If the power fails before
the transaction, the next merge takes the adapter back. If it fails after it, everything that matters is stored, and the next
merge completes the record.

    <data folder>/merges/publishing.json   a merge is being stored
    <data folder>/merges/<id>.json         what was merged, with the proof
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yearling.errors import NotFound, Untrusted
from yearling.feedback import FeedbackLog, add_merged_corrections
from yearling.files.atomic import atomic_write_json
from yearling.files.disk import translate_disk_errors
from yearling.files.sync import make_directory, sync_directory
from yearling.loop.merging.entries import MergedEntries
from yearling.records import MergeSource
from yearling.store import MERGE_ACTION, Store
from yearling.training import ArtefactStores, import_adapter

_JOURNAL = "publishing.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenMerge:
    """A merge that passed its proof. `adapter` is empty if no side had one; `report` goes into the record and the audit log."""

    id: str
    person_id: str
    model: str
    entries: MergedEntries
    expected_version: str
    """Of the person's corrections when the merge began."""
    adapter: str
    adapter_file: Path | None
    sources: tuple[MergeSource, ...]
    report: Mapping[str, Any]


def merges_dir(data_dir: Path) -> Path:
    """The folder of a data folder that has the records of merges."""
    return data_dir / "merges"


def commit_merge(log: FeedbackLog, stores: ArtefactStores, folder: Path, merge: ProvenMerge) -> int:
    """Publish the adapter, store the corrections, and write the record. Returns how many entries are new.

    Raises Conflict if the person's corrections changed since the merge began, and StorageFailed. Unless it returns, the merge
    holds only if the audit log has it.
    """
    make_directory(folder)
    journal = folder / _JOURNAL
    with translate_disk_errors(folder):
        is_new_adapter = bool(merge.adapter) and not (stores.adapters.folder / merge.adapter).is_dir()
        atomic_write_json(
            journal,
            {"merge": merge.id, "adapter": merge.adapter if is_new_adapter else "", "report": merge.report},
        )
    try:
        if is_new_adapter and merge.adapter_file is not None:
            published = import_adapter(stores, merge.model, merge.adapter_file, merged_from=merge.sources)
            if published.sha256 != merge.adapter:
                raise RuntimeError(f"the proven adapter {merge.adapter} was published as {published.sha256}")
        added = add_merged_corrections(
            log,
            merge.person_id,
            merge.entries.pairs(),
            source=", ".join(source.name for source in merge.sources[1:])[:255],
            expected_version=merge.expected_version,
            merge_id=merge.id,
            detail=merge.report,
        )
    except Exception:
        finish_interrupted_merge(log.store, stores, folder)
        raise
    finish_interrupted_merge(log.store, stores, folder)
    return sum(each.is_new for each in added)


def finish_interrupted_merge(store: Store, stores: ArtefactStores, folder: Path) -> str:
    """Complete or take back a merge that was being stored, as far as something of it is left. Returns what was done, or nothing.

    The caller holds the lock of merges.
    """
    journal = folder / _JOURNAL
    if not journal.exists():
        return ""
    try:
        fields = json.loads(journal.read_text(encoding="utf-8"))
        merge_id, adapter, report = str(fields["merge"]), str(fields["adapter"]), fields["report"]
    except (ValueError, KeyError, TypeError) as error:
        raise Untrusted(f"{journal} cannot be read: {error}.", advice="Remove it.") from None
    if any(entry.subject == merge_id for entry in store.audit.entries(actions=[MERGE_ACTION])):
        atomic_write_json(folder / f"{merge_id}.json", {"merge": merge_id, **report})
        done = "An interrupted merge had been stored; its record is complete now."
    else:
        if adapter and not any(adapter in release.model_hash for release in store.releases.list()):
            with suppress(NotFound):  # never published
                stores.adapters.remove(adapter)
        done = "An interrupted merge was taken back: nothing of it holds."
    journal.unlink()
    sync_directory(folder)
    return done
