"""Lesson sets: frozen folders, named by the hash of what is in them. `docs/lessons.md` has the format.

`open` proves every byte before anything is learnt from it, and gives the train part only; the held-out part is for exams and has
a reader of its own, which training cannot import.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from yearling.canonical import canonical_json
from yearling.clock import now_utc
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.files.disk import DiskAdvice, translate_disk_errors
from yearling.files.folders import publish_directory, remove_leftovers, staging_directory
from yearling.files.reading import hash_file
from yearling.tasks.lesson import Demonstration, Lesson, PreferencePair, Prompt, Thumb, lesson_from_dict, lesson_to_line

LESSON_SET_FORMAT = "yearling-lessons"
LESSON_SET_FORMAT_VERSION = 1

MANIFEST_FILE, TRAIN_FILE, HELDOUT_FILE, REPORT_FILE = "manifest.json", "train.jsonl", "heldout.jsonl", "report.json"

BUILD_ADVICE = DiskAdvice(
    full="Free some space and build again: nothing half-built is left.",
    not_writable="Check the folder and the disk it is on.",
)
_STALE_AFTER_S = 3600.0

L = TypeVar("L", Demonstration, PreferencePair, Thumb, Prompt)


@dataclass(frozen=True, slots=True)
class LessonSet:
    """The train part of a lesson set. `version` counts the sets of an installation, 0 for a set outside one."""

    folder: Path
    hash: str
    version: int
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, folder: Path) -> LessonSet:
        """Open a set and check every byte of it. Raises NotFound, Untrusted."""
        manifest = read_manifest(folder)
        for name in (TRAIN_FILE, HELDOUT_FILE, REPORT_FILE):
            _verify_file(folder, name, manifest["files"][name]["sha256"])
        return cls(folder=folder, hash=manifest["hash"], version=manifest["version"], manifest=manifest)

    def lessons(self) -> Iterator[Lesson]:
        """All lessons of the train part, by kind and key. Raises Untrusted when the file changed since it was opened."""
        return read_lessons(self.folder, TRAIN_FILE, self.manifest)

    def demonstrations(self) -> list[Demonstration]:
        return self._lessons_of_type(Demonstration)

    def pairs(self) -> list[PreferencePair]:
        return self._lessons_of_type(PreferencePair)

    def thumbs(self) -> list[Thumb]:
        return self._lessons_of_type(Thumb)

    def prompts(self) -> list[Prompt]:
        return self._lessons_of_type(Prompt)

    def report(self) -> dict[str, Any]:
        """What was seen, kept and dropped when the set was built. Raises Untrusted."""
        _verify_file(self.folder, REPORT_FILE, self.manifest["files"][REPORT_FILE]["sha256"])
        found: dict[str, Any] = json.loads((self.folder / REPORT_FILE).read_bytes())
        return found

    def _lessons_of_type(self, kind: type[L]) -> list[L]:
        return [lesson for lesson in self.lessons() if isinstance(lesson, kind)]


def freeze_lesson_set(
    lessons: Iterable[Lesson],
    folder: Path,
    *,
    heldout: Iterable[Lesson] = (),
    version: int = 0,
    manifest_fields: Mapping[str, Any] | None = None,
    report: Mapping[str, Any] | None = None,
) -> LessonSet:
    """Write a lesson set to `folder/<hash>/` and open it; the set that is there already if it has the same lessons.

    `facts` go into the manifest as they are (which consensus run, which parameters), `report` into the report. The lessons' order
    does not matter. Raises BadInput when two have one key or a key is in both parts, StorageFailed with nothing left behind.
    """
    train, held = _sorted_lessons(lessons), _sorted_lessons(heldout)
    twice = [key for key, count in Counter(lesson.key for lesson in (*train, *held)).items() if count > 1]
    if twice:
        raise BadInput(f"Two lessons have the key {twice[0]}.", advice="Leave duplicates out before freezing.")
    contents = {
        TRAIN_FILE: b"".join(map(lesson_to_line, train)),
        HELDOUT_FILE: b"".join(map(lesson_to_line, held)),
        REPORT_FILE: _indented_json(dict(report or {})),
    }
    digests = {name: sha256(content).hexdigest() for name, content in contents.items()}
    found = lesson_set_hash(digests[TRAIN_FILE], digests[HELDOUT_FILE])
    manifest = dict(manifest_fields or {}) | {
        "format": LESSON_SET_FORMAT,
        "format_version": LESSON_SET_FORMAT_VERSION,
        "hash": found,
        "version": version,
        "created_utc": now_utc().isoformat(),
        "counts": {"train": _count_lessons_by_kind(train), "heldout": _count_lessons_by_kind(held)},
        "files": {name: {"sha256": digests[name], "size_bytes": len(contents[name])} for name in contents},
    }
    manifest["seal"] = _manifest_seal(manifest)
    contents[MANIFEST_FILE] = _indented_json(manifest)
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        if not (folder / found).exists():
            remove_leftovers(folder, older_than_s=_STALE_AFTER_S)
            with staging_directory(folder) as staging:
                for name, content in contents.items():
                    (staging / name).write_bytes(content)
                publish_directory(staging, folder / found, if_exists="keep")
    return LessonSet.open(folder / found)


def lesson_set_hash(train_sha256: str, heldout_sha256: str) -> str:
    """The identity of a set: SHA-256 over its format and the SHA-256 of each part's lines."""
    text = f"{LESSON_SET_FORMAT} {LESSON_SET_FORMAT_VERSION}\ntrain {train_sha256}\nheldout {heldout_sha256}\n"
    return sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """A set's manifest, checked against its seal and its files' hashes against the set's. Raises NotFound, Untrusted."""
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        try:
            data = (folder / MANIFEST_FILE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(
                f"There is no lesson set in {folder}.", advice="`yearling lessons list` names those that there are."
            ) from None
    try:
        manifest: dict[str, Any] = json.loads(data)
        sealed = manifest["seal"] == _manifest_seal(manifest) and manifest["format"] == LESSON_SET_FORMAT
        files = manifest["files"]
        whole = manifest["hash"] == lesson_set_hash(files[TRAIN_FILE]["sha256"], files[HELDOUT_FILE]["sha256"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _changed_file_error(folder, MANIFEST_FILE) from None
    if not sealed or not whole:
        raise _changed_file_error(folder, MANIFEST_FILE)
    if manifest["format_version"] != LESSON_SET_FORMAT_VERSION:
        raise Untrusted(f"{folder} was written in format {manifest['format_version']}.", advice="Install a newer Yearling.")
    return manifest


def read_lessons(folder: Path, name: str, manifest: Mapping[str, Any]) -> Iterator[Lesson]:
    """The lessons of one part. Raises Untrusted when the bytes are not those of the manifest, before the first is given."""
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        data = (folder / name).read_bytes()
    if sha256(data).hexdigest() != manifest["files"][name]["sha256"]:
        raise _changed_file_error(folder, name)
    return (lesson_from_dict(json.loads(line)) for line in data.splitlines())


def _verify_file(folder: Path, name: str, digest: str) -> None:
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        try:
            found = hash_file(folder / name)
        except FileNotFoundError:
            found = ""
    if found != digest:
        raise _changed_file_error(folder, name)


def _changed_file_error(folder: Path, name: str) -> Untrusted:
    return Untrusted(
        f"{folder / name} was changed, damaged or cut off after the set was frozen.",
        advice="Remove that folder and build the set again with `yearling lessons build`, or copy it again from its source.",
    )


def _manifest_seal(manifest: Mapping[str, Any]) -> str:
    plain = {name: value for name, value in manifest.items() if name != "seal"}
    return sha256(canonical_json(plain)).hexdigest()


def _indented_json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _sorted_lessons(lessons: Iterable[Lesson]) -> list[Lesson]:
    return sorted(lessons, key=lambda lesson: (lesson.kind, lesson.key))


def _count_lessons_by_kind(lessons: Sequence[Lesson]) -> dict[str, int]:
    return dict(sorted(Counter(lesson.kind for lesson in lessons).items()))
