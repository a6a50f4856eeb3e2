"""Lesson sets: frozen folders named by the hash of their content. `docs/lessons.md` describes the format.

`LessonSet.open` verifies every byte before any training, and gives access to the train part only. The held-out part is for exams
and has its own reader (`heldout.py`), which training cannot import.
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
    full="Free some space and build again. Nothing incomplete was left behind.",
    not_writable="Check the folder and its disk.",
)
_STALE_AFTER_S = 3600.0

JsonDict = dict[str, Any]
JsonMapping = Mapping[str, Any]

L = TypeVar("L", Demonstration, PreferencePair, Thumb, Prompt)


@dataclass(frozen=True, slots=True)
class LessonSet:
    """The train part of a lesson set. `version` numbers the sets of an installation; it is 0 for other sets."""

    folder: Path
    hash: str
    version: int
    manifest: JsonMapping

    @classmethod
    def open(cls, folder: Path) -> LessonSet:
        """Open a set and verify every byte. Raises NotFound if there is none in the folder, and Untrusted if it was changed."""
        manifest = read_manifest(folder)
        for name in (TRAIN_FILE, HELDOUT_FILE, REPORT_FILE):
            _verify_file(folder, name, manifest["files"][name]["sha256"])
        return cls(folder=folder, hash=manifest["hash"], version=manifest["version"], manifest=manifest)

    def lessons(self) -> Iterator[Lesson]:
        """Return the lessons of the train part, by kind and key.

        Raises Untrusted if the file changed since the set was opened.
        """
        return read_lessons(self.folder, TRAIN_FILE, self.manifest)

    def demonstrations(self) -> list[Demonstration]:
        """Return the demonstrations of the train part. Raises as `lessons` does."""
        return self._lessons_of_type(Demonstration)

    def pairs(self) -> list[PreferencePair]:
        """Return the preference pairs of the train part. Raises as `lessons` does."""
        return self._lessons_of_type(PreferencePair)

    def thumbs(self) -> list[Thumb]:
        """Return the thumbs of the train part. Raises as `lessons` does."""
        return self._lessons_of_type(Thumb)

    def prompts(self) -> list[Prompt]:
        """Return the prompts of the train part. Raises as `lessons` does."""
        return self._lessons_of_type(Prompt)

    def report(self) -> JsonDict:
        """Return the report of the build: what was read, kept and dropped. Raises Untrusted if it was changed."""
        _verify_file(self.folder, REPORT_FILE, self.manifest["files"][REPORT_FILE]["sha256"])
        report: JsonDict = json.loads((self.folder / REPORT_FILE).read_bytes())
        return report

    def keys_edited_by_author(self) -> frozenset[str]:
        """Return the keys of the lessons from answers that their owners edited before others judged them. Raises as `report`."""
        return frozenset(self.report().get("edited_by_author", ()))

    def _lessons_of_type(self, kind: type[L]) -> list[L]:
        return [lesson for lesson in self.lessons() if isinstance(lesson, kind)]


def freeze_lesson_set(
    lessons: Iterable[Lesson],
    folder: Path,
    *,
    heldout: Iterable[Lesson] = (),
    version: int = 0,
    manifest_fields: JsonMapping | None = None,
    report: JsonMapping | None = None,
) -> LessonSet:
    """Write a lesson set to `folder/<hash>/` and open it. If the same lessons are there already, open that set.

    `manifest_fields` become part of the manifest (such as the consensus run and the parameters), `report` becomes the report. The
    order of the lessons does not matter. Raises BadInput if two lessons share a key, and StorageFailed, which leaves nothing
    behind.
    """
    train_lessons, heldout_lessons = _sorted_lessons(lessons), _sorted_lessons(heldout)
    repeated_keys = [
        key for key, count in Counter(lesson.key for lesson in (*train_lessons, *heldout_lessons)).items() if count > 1
    ]
    if repeated_keys:
        raise BadInput(f"Two lessons have the key {repeated_keys[0]}.", advice="Remove duplicates first.")
    contents = {
        TRAIN_FILE: b"".join(map(lesson_to_line, train_lessons)),
        HELDOUT_FILE: b"".join(map(lesson_to_line, heldout_lessons)),
        REPORT_FILE: _indented_json(dict(report or {})),
    }
    digests = {name: sha256(content).hexdigest() for name, content in contents.items()}
    content_hash = lesson_set_hash(digests[TRAIN_FILE], digests[HELDOUT_FILE])
    manifest = dict(manifest_fields or {}) | {
        "format": LESSON_SET_FORMAT,
        "format_version": LESSON_SET_FORMAT_VERSION,
        "hash": content_hash,
        "version": version,
        "created_utc": now_utc().isoformat(),
        "counts": {"train": _count_lessons_by_kind(train_lessons), "heldout": _count_lessons_by_kind(heldout_lessons)},
        "files": {name: {"sha256": digests[name], "size_bytes": len(contents[name])} for name in contents},
    }
    manifest["seal"] = _manifest_seal(manifest)
    contents[MANIFEST_FILE] = _indented_json(manifest)
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        if not (folder / content_hash).exists():
            remove_leftovers(folder, older_than_s=_STALE_AFTER_S)
            with staging_directory(folder) as staging:
                for name, content in contents.items():
                    (staging / name).write_bytes(content)
                publish_directory(staging, folder / content_hash, if_exists="keep")
    return LessonSet.open(folder / content_hash)


def lesson_set_hash(train_sha256: str, heldout_sha256: str) -> str:
    """Return the identity of a set: the SHA-256 of its format and of the SHA-256 of each part."""
    text = f"{LESSON_SET_FORMAT} {LESSON_SET_FORMAT_VERSION}\ntrain {train_sha256}\nheldout {heldout_sha256}\n"
    return sha256(text.encode()).hexdigest()


def read_manifest(folder: Path) -> JsonDict:
    """Return the manifest of a set after verifying its seal and the hash of the set.

    Raises NotFound if the folder holds no set, and Untrusted if the manifest was changed or has a newer format.
    """
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        try:
            data = (folder / MANIFEST_FILE).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"There is no lesson set in {folder}.", advice="List the sets with `yearling lessons list`.") from None
    try:
        manifest: JsonDict = json.loads(data)
        is_sealed = manifest["seal"] == _manifest_seal(manifest) and manifest["format"] == LESSON_SET_FORMAT
        files = manifest["files"]
        matches_files = manifest["hash"] == lesson_set_hash(files[TRAIN_FILE]["sha256"], files[HELDOUT_FILE]["sha256"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _changed_file_error(folder, MANIFEST_FILE) from None
    if not is_sealed or not matches_files:
        raise _changed_file_error(folder, MANIFEST_FILE)
    if manifest["format_version"] != LESSON_SET_FORMAT_VERSION:
        raise Untrusted(
            f"{folder} was written in format {manifest['format_version']}.", advice="Install a newer version of Yearling."
        )
    return manifest


def read_lessons(folder: Path, name: str, manifest: JsonMapping) -> Iterator[Lesson]:
    """Return the lessons of one part. Raises Untrusted before the first lesson if the file does not match the manifest."""
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        data = (folder / name).read_bytes()
    if sha256(data).hexdigest() != manifest["files"][name]["sha256"]:
        raise _changed_file_error(folder, name)
    return (lesson_from_dict(json.loads(line)) for line in data.splitlines())


def _verify_file(folder: Path, name: str, digest: str) -> None:
    with translate_disk_errors(folder, advice=BUILD_ADVICE, all_errors=True):
        try:
            actual_digest = hash_file(folder / name)
        except FileNotFoundError:
            actual_digest = ""
    if actual_digest != digest:
        raise _changed_file_error(folder, name)


def _changed_file_error(folder: Path, name: str) -> Untrusted:
    return Untrusted(
        f"{folder / name} was changed, damaged or truncated after the set was frozen.",
        advice="Remove that folder and build the set again with `yearling lessons build`, or copy it again from its source.",
    )


def _manifest_seal(manifest: JsonMapping) -> str:
    values = {name: value for name, value in manifest.items() if name != "seal"}
    return sha256(canonical_json(values)).hexdigest()


def _indented_json(value: JsonMapping) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=True, allow_nan=False).encode() + b"\n"


def _sorted_lessons(lessons: Iterable[Lesson]) -> list[Lesson]:
    return sorted(lessons, key=lambda lesson: (lesson.kind, lesson.key))


def _count_lessons_by_kind(lessons: Sequence[Lesson]) -> dict[str, int]:
    return dict(sorted(Counter(lesson.kind for lesson in lessons).items()))
