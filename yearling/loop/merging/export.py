"""Writes a merge folder: what this installation gives to another one that shall know both."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path

from yearling import __version__
from yearling.canonical import canonical_json
from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict
from yearling.feedback import EventIndex, publication_lines, run_and_record
from yearling.files.disk import require_space, translate_disk_errors
from yearling.files.folders import publish_directory, staging_directory
from yearling.files.reading import hash_file
from yearling.loop.merging.bundle import (
    ADAPTER,
    CORRECTIONS,
    LINEAGE,
    MANIFEST,
    MAX_FILE_BYTES,
    MAX_NAME_CHARS,
    MAX_QUESTIONS,
    MERGE_FORMAT,
    MERGE_VERSION,
    PUBLIC_LOG,
    QUESTIONS,
    MergeEntry,
    MergeSide,
    question_to_json,
)
from yearling.records import MergeSource
from yearling.store import Store

_INSTALLATION_SECRET = "merge-installation"


def installation_id(store: Store) -> str:
    """Identifies this installation in merges: the hash of a secret, so that nobody can pass for it by guessing."""
    return hashlib.sha256(b"yearling installation " + store.secrets.get_or_create(_INSTALLATION_SECRET)).hexdigest()[:16]


def describe_installation(
    store: Store, name: str, *, adapter: str = "", judgements: Iterable[str] = (), runs: Iterable[str] = ()
) -> MergeSource:
    """This installation as a source of a merge, with the head of its log now. Raises BadInput for an unusable name."""
    installation = installation_id(store)
    name = name.strip() or f"installation {installation[:8]}"
    if len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise BadInput(f"A name has up to {MAX_NAME_CHARS} characters that can be printed.", param="name")
    head = store.events.head()
    return MergeSource(
        installation=installation,
        name=name,
        adapter=adapter,
        log_entries=head.sequence,
        log_head=head.hash if head.sequence else "",
        judgements=tuple(judgements),
        runs=tuple(runs),
    )


def write_merge_folder(store: Store, target: Path, side: MergeSide, *, actor: str) -> MergeSide:
    """Write a new merge folder and note it in the audit log. Returns the side as written, with the fingerprint of the folder.

    Raises Conflict if the folder exists, BadInput if a file would be above its ceiling, and StorageFailed.
    """
    if target.exists():
        raise Conflict(f"{target} exists already.", advice="Name a new folder.")
    if len(side.questions) > MAX_QUESTIONS:
        raise BadInput(f"A merge takes up to {MAX_QUESTIONS} held-back questions.", param="questions")
    adapter_bytes = side.adapter_file.stat().st_size if side.adapter_file else 0
    finished = run_and_record(store, EventIndex(store))
    with translate_disk_errors(target, adapter_bytes), staging_directory(target.absolute().parent) as staging:
        require_space(staging, adapter_bytes)
        with (staging / PUBLIC_LOG).open("wb") as file:
            file.writelines(publication_lines(store, finished))
        with (staging / PUBLIC_LOG).open("rb") as log:
            header = json.loads(log.readline())
        log_entries = header["entries"]
        log_head = header["head"] if log_entries else ""
        (staging / CORRECTIONS).write_bytes(b"".join(canonical_json(_entry_row(entry)) + b"\n" for entry in side.entries))
        earlier = [asdict(source) for source in side.earlier]
        lineage = {"judgements": list(side.source.judgements), "runs": list(side.source.runs), "earlier": earlier}
        (staging / LINEAGE).write_bytes(canonical_json(lineage) + b"\n")
        if side.questions:
            (staging / QUESTIONS).write_bytes(canonical_json([question_to_json(case) for case in side.questions]) + b"\n")
        if side.adapter_file is not None:
            shutil.copyfile(side.adapter_file, staging / ADAPTER)
        paths = sorted(staging.iterdir())
        for path in paths:
            if path.stat().st_size > MAX_FILE_BYTES[path.name]:
                raise BadInput(f"{path.name} would have more than {MAX_FILE_BYTES[path.name]:,} bytes.")
        manifest = canonical_json(
            {
                "format": MERGE_FORMAT,
                "version": MERGE_VERSION,
                "program": __version__,
                "installation": side.source.installation,
                "name": side.source.name,
                "exported_utc": now_utc().isoformat(),
                "base": {"name": side.base, "sha256": side.base_sha256},
                "adapter": side.source.adapter,
                "log": {"entries": log_entries, "head": log_head},
                "files": {path.name: {"size_bytes": path.stat().st_size, "sha256": hash_file(path)} for path in paths},
            }
        )
        (staging / MANIFEST).write_bytes(manifest)
        publish_directory(staging, target.absolute())
    fingerprint = hashlib.sha256(manifest).hexdigest()
    detail = {"corrections": len(side.entries), "adapter": side.source.adapter, "log_head": log_head}
    store.audit.append(actor, "merge.export", fingerprint, detail)
    return replace(side, source=replace(side.source, log_entries=log_entries, log_head=log_head), fingerprint=fingerprint)


def _entry_row(entry: MergeEntry) -> dict[str, object]:
    return asdict(entry) | {"updated_utc": entry.updated_utc.isoformat()}
