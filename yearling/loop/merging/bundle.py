"""A merge folder: what one installation gives to another that shall know both. Its format, and how it is read.

    manifest.json        who wrote it and when, the base model, the head of the log, size and SHA-256 of every other file
    corrections.jsonl    one entry a line: question, answer, scope, time
    public_log.jsonl     what `yearling consensus export` writes: the judgements without names and texts, as a hash chain
    lineage.json         the judgements and training runs behind the adapter
    questions.json       held-back questions with checks, if the person added some
    adapter.gguf         the adapter, if there is one

The fingerprint of a folder is the hash of its manifest, which covers every byte. Files are copied before they are read, so that
nobody changes them between the check and the use. Knows nothing of models: whoever merges checks the adapter.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, Untrusted, malformed_as_untrusted
from yearling.evals import Case, parse_custom_case
from yearling.feedback import verify_publication
from yearling.files.reading import COPY_CHUNK_BYTES, open_regular_file
from yearling.records import MergeSource
from yearling.store import MAX_CORRECTION_CHARS, CorrectionScope, question_key

MERGE_FORMAT = "yearling-merge"
MERGE_VERSION = 1
MANIFEST, CORRECTIONS, PUBLIC_LOG = "manifest.json", "corrections.jsonl", "public_log.jsonl"
LINEAGE, QUESTIONS, ADAPTER = "lineage.json", "questions.json", "adapter.gguf"
REQUIRED_FILES = (CORRECTIONS, LINEAGE, PUBLIC_LOG)

MAX_MANIFEST_BYTES = 1 << 20
MAX_FILE_BYTES = {
    CORRECTIONS: 128 << 20,
    PUBLIC_LOG: 1 << 30,
    LINEAGE: 64 << 20,
    QUESTIONS: 4 << 20,
    ADAPTER: 4 << 30,
}
"""The largest size of each file that a merge reads."""
MAX_ENTRIES = 25_000
"""The most corrections of one folder: as many as a person and a team can have."""
MAX_QUESTIONS = 500
MAX_NAME_CHARS = 80

_CLOCK_TOLERANCE = timedelta(hours=1)
_SCOPES: Mapping[str, CorrectionScope] = {"me": "me", "team": "team"}
_ADVICE = "Export it again where it came from."


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeEntry:
    """A correction as a merge sees it. Of two answers to one question the later one holds."""

    question: str
    answer: str
    scope: CorrectionScope
    updated_utc: datetime

    @property
    def key(self) -> str:
        """Equal for questions that count as the same."""
        return question_key(self.question)


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeSide:
    """What one of the installations brings: this one, or that of a folder."""

    source: MergeSource
    entries: tuple[MergeEntry, ...]
    questions: tuple[Case, ...] = ()
    earlier: tuple[MergeSource, ...] = ()
    """The installations that its adapter was merged from before."""
    adapter_file: Path | None = None
    """The file of its adapter: here, or as it was copied from a folder and checked."""
    base: str = ""
    base_sha256: str = ""
    fingerprint: str = ""

    @property
    def name(self) -> str:
        """The name of the installation."""
        return self.source.name


def read_merge_folder(folder: Path, copy_to: Path, *, own_installation: str) -> MergeSide:
    """Copy a merge folder to a new folder, check every file, and return what it brings.

    Raises NotFound, BadInput for files above the ceilings and for a folder of this installation, and Untrusted for anything that
    is not as it was exported.
    """
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder}.", advice="Make one with `yearling merge export FOLDER` on the other side.")
    copy_to.mkdir()
    manifest_bytes = _read_manifest(folder)
    manifest = _parse_json(manifest_bytes, folder / MANIFEST)
    _check_version(manifest, folder)
    with malformed_as_untrusted(f"{folder / MANIFEST}"):
        files: Mapping[str, Any] = manifest["files"]
        name, installation = _text(manifest["name"], MAX_NAME_CHARS), _text(manifest["installation"], 64)
        if not name.isprintable():
            raise ValueError("the name cannot be printed")
        exported_utc = _time(manifest["exported_utc"])
        base, base_sha256 = _text(manifest["base"]["name"], 200), _text(manifest["base"]["sha256"], 64)
        log_entries, log_head = int(manifest["log"]["entries"]), _text(manifest["log"]["head"], 64, may_be_empty=True)
        adapter = _text(manifest["adapter"], 64, may_be_empty=True)
        sizes = {str(file): (int(about["size_bytes"]), _text(about["sha256"], 64)) for file, about in files.items()}
    if installation == own_installation:
        raise BadInput(f"{folder} comes from this installation itself.", advice="Name the folder of another one.")
    if exported_utc > now_utc() + _CLOCK_TOLERANCE:
        raise BadInput(f"{folder} was exported in the future.", advice="Set the clocks of both machines, and export it again.")
    _check_files(folder, sizes, adapter)
    for file, (size_bytes, sha256) in sorted(sizes.items()):
        _copy_checked(folder / file, copy_to / file, size_bytes, sha256)
    log = verify_publication(copy_to / PUBLIC_LOG)
    if (log.entries, log.head) != (log_entries, log_head):
        raise Untrusted(f"{folder / PUBLIC_LOG} is not the log that {MANIFEST} names.", advice=_ADVICE)
    judgements, runs, earlier = _read_lineage(copy_to / LINEAGE)
    if foreign := set(judgements) - log.ids:
        raise Untrusted(f"{len(foreign)} judgements behind the adapter of {name} are not in its public log.", advice=_ADVICE)
    return MergeSide(
        source=MergeSource(
            installation=installation,
            name=name,
            adapter=adapter,
            log_entries=log_entries,
            log_head=log_head,
            judgements=judgements,
            runs=runs,
        ),
        entries=_read_entries(copy_to / CORRECTIONS, exported_utc),
        questions=_read_questions(copy_to / QUESTIONS) if QUESTIONS in sizes else (),
        earlier=earlier,
        adapter_file=copy_to / ADAPTER if adapter else None,
        base=base,
        base_sha256=base_sha256,
        fingerprint=hashlib.sha256(manifest_bytes).hexdigest(),
    )


def question_to_json(case: Case) -> dict[str, object]:
    """A held-back question as it stands in a folder."""
    return {"key": case.key, "messages": [dict(message) for message in case.messages], **case.data}


def _read_manifest(folder: Path) -> bytes:
    with open_regular_file(folder / MANIFEST) as file:
        content = file.read(MAX_MANIFEST_BYTES + 1)
    if len(content) > MAX_MANIFEST_BYTES:
        raise BadInput(f"{folder / MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes.", advice=_ADVICE)
    return content


def _parse_json(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        raise Untrusted(f"{path} is not JSON.", advice=_ADVICE) from None


def _check_version(manifest: object, folder: Path) -> None:
    if not isinstance(manifest, dict) or manifest.get("format") != MERGE_FORMAT:
        raise Untrusted(f"{folder} is no merge folder.", advice="Make one with `yearling merge export FOLDER` on the other side.")
    version = manifest.get("version")
    if isinstance(version, int) and version > MERGE_VERSION:
        raise BadInput(
            f"{folder} was written by a newer version of Yearling ({str(manifest.get('program'))[:40]}).",
            advice="Update Yearling here, or export it with the same version.",
        )
    if version != MERGE_VERSION:
        raise Untrusted(f"{folder} has the unknown version {str(version)[:40]}.", advice=_ADVICE)


def _check_files(folder: Path, sizes: Mapping[str, tuple[int, str]], adapter: str) -> None:
    """Raises Untrusted for unknown and missing files, and BadInput for those above their ceiling."""
    if unknown := sorted(set(sizes) - set(MAX_FILE_BYTES)):
        raise Untrusted(f"{folder} names the unknown file {unknown[0][:80]!r}.", advice=_ADVICE)
    if missing := [name for name in REQUIRED_FILES if name not in sizes]:
        raise Untrusted(f"{folder} lacks {missing[0]}.", advice=_ADVICE)
    if adapter != (sizes[ADAPTER][1] if ADAPTER in sizes else ""):
        raise Untrusted(f"{folder} does not hold the adapter that its manifest names.", advice=_ADVICE)
    for name, (size_bytes, _) in sizes.items():
        if size_bytes > MAX_FILE_BYTES[name]:
            raise BadInput(
                f"{folder / name} has {size_bytes:,} bytes; a merge reads up to {MAX_FILE_BYTES[name]:,}.", advice=_ADVICE
            )


def _copy_checked(source: Path, target: Path, size_bytes: int, sha256: str) -> None:
    hasher, copied = hashlib.sha256(), 0
    with open_regular_file(source) as file, target.open("wb") as copy:
        while copied <= size_bytes and (chunk := file.read(min(COPY_CHUNK_BYTES, size_bytes + 1 - copied))):
            hasher.update(chunk)
            copied += copy.write(chunk)
    if (copied, hasher.hexdigest()) != (size_bytes, sha256):
        raise Untrusted(f"{source} was changed after it was exported, or is damaged.", advice=_ADVICE)


def _read_entries(path: Path, exported_utc: datetime) -> tuple[MergeEntry, ...]:
    """The entries, one for each question: the latest. A time after the export counts as that of the export."""
    latest: dict[str, MergeEntry] = {}
    lines = path.read_bytes().splitlines()
    if len(lines) > MAX_ENTRIES:
        raise BadInput(f"{path.name} has {len(lines):,} entries; a merge reads up to {MAX_ENTRIES:,}.", advice=_ADVICE)
    for number, line in enumerate(lines, start=1):
        with malformed_as_untrusted(f"Line {number} of {path.name}"):
            row = _parse_json(line, path)
            entry = MergeEntry(
                question=_text(row["question"], MAX_CORRECTION_CHARS),
                answer=_text(row["answer"], MAX_CORRECTION_CHARS),
                scope=_SCOPES[row["scope"]],
                updated_utc=min(_time(row["updated_utc"]), exported_utc),
            )
        if entry.key not in latest or latest[entry.key].updated_utc <= entry.updated_utc:
            latest[entry.key] = entry
    return tuple(latest.values())


def _read_questions(path: Path) -> tuple[Case, ...]:
    rows = _parse_json(path.read_bytes(), path)
    if not isinstance(rows, list) or len(rows) > MAX_QUESTIONS:
        raise BadInput(f"{path.name} must hold a list of up to {MAX_QUESTIONS} questions.", advice=_ADVICE)
    with malformed_as_untrusted(path.name):
        return tuple(parse_custom_case(row, f"Question {number} of {path.name}") for number, row in enumerate(rows, start=1))


def _read_lineage(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[MergeSource, ...]]:
    """(judgements, runs, the installations of earlier merges)."""
    value = _parse_json(path.read_bytes(), path)
    with malformed_as_untrusted(path.name):
        earlier = tuple(
            MergeSource(
                installation=_text(row["installation"], 64),
                name=_text(row["name"], MAX_NAME_CHARS),
                adapter=_text(row["adapter"], 64, may_be_empty=True),
                log_entries=int(row["log_entries"]),
                log_head=_text(row["log_head"], 64, may_be_empty=True),
                judgements=_ids(row["judgements"]),
                runs=_ids(row["runs"]),
            )
            for row in value["earlier"]
        )
        return _ids(value["judgements"]), _ids(value["runs"]), earlier


def _ids(values: object) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise TypeError("a list of ids is missing")
    return tuple(_text(value, 64) for value in values)


def _text(value: object, max_chars: int, *, may_be_empty: bool = False) -> str:
    """A text that a database can hold. Raises TypeError and ValueError."""
    if not isinstance(value, str):
        raise TypeError(f"{str(value)[:40]!r} is no text")
    value.encode()  # no lone surrogates
    if len(value) > max_chars or "\0" in value or not (may_be_empty or value.strip()):
        raise ValueError(f"{value[:40]!r} is too long, empty, or holds a null character")
    return value


def _time(value: object) -> datetime:
    time = datetime.fromisoformat(_text(value, 40))
    if time.tzinfo is None:
        raise ValueError("a time has no zone")
    return time
