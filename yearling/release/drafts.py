"""Drafts of releases: from plain values about a model, an adapter or an endpoint to the record that key-holders sign.

Looking up models is the caller's part. `files` are all files that an engine loads: weights, tokenizer, chat template, adapter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yearling import __version__
from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.release.file_rules import path_in_data_folder
from yearling.release.state import ReleaseState
from yearling.store import Release, ReleasedFile, ReleaseKind, Store

MAX_TITLE_CHARS = 200
MAX_FILES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseLineage:
    """Where the weights come from: the fields of the same names in `Release`."""

    run_id: str = ""
    lesson_set: str = ""
    consensus: str = ""
    num_lessons: int = 0


def new_draft(
    *,
    kind: ReleaseKind,
    model: str,
    model_hash: str,
    files: Mapping[Path, str],
    data_dir: Path,
    created_by: str,
    title: str = "",
    base_model: str = "",
    endpoint_url: str = "",
    lineage: ReleaseLineage | None = None,
    parent: int | None = None,
) -> Release:
    """A draft, which `store.releases.create` numbers. `files` maps the path of each file to its SHA-256.

    Without a title it says what was learnt. Raises BadInput for a title that is too long or files outside the data folder,
    NotFound for a file that is missing.
    """
    lineage = lineage or ReleaseLineage()
    title = " ".join(title.split()) or _default_title(kind, model, lineage)
    if len(title) > MAX_TITLE_CHARS or not title.isprintable():
        raise BadInput(f"A title has at most {MAX_TITLE_CHARS} printable characters.", param="title")
    if len(files) > MAX_FILES:
        raise BadInput(f"A release has at most {MAX_FILES} files.")
    return Release(
        number=-1,
        created_utc=now_utc(),
        created_by=created_by,
        title=title,
        kind=kind,
        model=model,
        model_hash=model_hash,
        program_version=__version__,
        files=_released_files(files, data_dir),
        endpoint_url=endpoint_url,
        base_model=base_model,
        run_id=lineage.run_id,
        lesson_set=lineage.lesson_set,
        consensus=lineage.consensus,
        num_lessons=lineage.num_lessons,
        parent=parent,
    )


def find_lineage(store: Store, run_id: str) -> ReleaseLineage:
    """What the store knows of a training run and its lessons. A run or lesson set that is gone leaves its fields empty."""
    if not run_id:
        return ReleaseLineage()
    try:
        lesson_set = store.runs.get(run_id).lesson_set
        record = store.lesson_sets.get(lesson_set) if lesson_set else None
    except (NotFound, Untrusted):
        return ReleaseLineage(run_id=run_id)
    if record is None:
        return ReleaseLineage(run_id=run_id)
    counts = record.manifest.get("counts", {}).get("train", {})
    return ReleaseLineage(
        run_id=run_id,
        lesson_set=record.hash,
        consensus=str((record.manifest.get("consensus") or {}).get("snapshot", "")),
        num_lessons=sum(int(count) for count in counts.values()),
    )


def store_draft(store: Store, draft: Release, state: ReleaseState | None) -> Release:
    """Store a draft, or return the release that has the same content already and was not withdrawn."""
    withdrawn = state.withdrawn if state else frozenset[int]()
    for release in store.releases.list(model_hash=draft.model_hash):
        same = (release.model, release.files, release.endpoint_url) == (draft.model, draft.files, draft.endpoint_url)
        if same and release.number not in withdrawn:
            return release
    return store.releases.create(draft)


def release_name(release: Release) -> str:
    """The name for people: `Release 7, 29 November: learnt 18 corrections`."""
    created = release.created_utc
    return f"Release {release.number}, {created.day} {created:%B}: {release.title}"


def _default_title(kind: ReleaseKind, model: str, lineage: ReleaseLineage) -> str:
    if lineage.num_lessons:
        return f"learnt {lineage.num_lessons} {'lesson' if lineage.num_lessons == 1 else 'lessons'}"
    return f"{model} at another server" if kind == "endpoint" else model


def _released_files(files: Mapping[Path, str], data_dir: Path) -> tuple[ReleasedFile, ...]:
    found = (_released_file(path, sha256, data_dir) for path, sha256 in files.items())
    return tuple(sorted(found, key=lambda file: file.path))


def _released_file(path: Path, sha256: str, data_dir: Path) -> ReleasedFile:
    relative = path_in_data_folder(path, data_dir)
    if Path(relative).is_absolute():
        raise BadInput(f"{path} lies outside the data folder {data_dir}.", advice="Use `yearling model import`.")
    if not path.is_file():
        raise NotFound(f"The file {path} is missing.", advice="Install the model again.")
    return ReleasedFile(path=relative, sha256=sha256, size_bytes=path.stat().st_size)
