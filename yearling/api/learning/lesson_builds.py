"""Builds lesson sets for the page: `yearling lessons build` in a process of its own, one at a time, and what became of it.

The folder `lessons/build` holds the time of the last start, and what the command printed. The process itself holds the lock: a
build is running exactly as long as its process lives, whatever happens to the server. It has finished if it printed its result,
and has failed otherwise.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from yearling.api.learning.processes import start_process
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import Conflict
from yearling.files.atomic import atomic_write_json
from yearling.files.disk import DiskAdvice, translate_disk_errors
from yearling.files.locks import LockHeldError, acquire_exclusive_lock, acquire_shared_lock
from yearling.files.sync import make_directory
from yearling.store import Store
from yearling.tasks import lessons_dir

BuildState = Literal["idle", "running", "finished", "failed"]

_START_FILE = "start.json"
_LOCK_TIMEOUT_S = 0.3
"""Long enough for those who only look at the state to let the lock go."""
_MAX_MESSAGE_CHARS = 2000
_DISK_ADVICE = DiskAdvice(full="Free some space, then build the lessons again.", not_writable="Check the folder and its disk.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LessonBuild:
    """The last build. `lesson_set` and `version` name the set of a finished one; `is_new` is False if nothing had changed."""

    state: BuildState = "idle"
    started_utc: datetime | None = None
    finished_utc: datetime | None = None
    message: str = ""
    lesson_set: str | None = None
    version: int | None = None
    is_new: bool | None = None


def build_command(settings: Settings) -> list[str]:
    """The command line that builds the lessons of all judgements so far."""
    arguments = ["lessons", "build", "--update-consensus", "--json", "--data-dir", str(settings.data_dir)]
    return [sys.executable, "-m", "yearling", *arguments]


def start_lesson_build(store: Store) -> None:
    """Start a build, which outlives this server. Raises Conflict while one is running, and StorageFailed."""
    folder = _folder(store)
    with translate_disk_errors(folder, advice=_DISK_ADVICE):
        make_directory(folder)
        try:
            lock = acquire_exclusive_lock(folder / "lock", timeout_s=_LOCK_TIMEOUT_S)
        except LockHeldError:
            raise Conflict("The lessons are being built already.", advice="Wait until this build has finished.") from None
        try:
            build_id = secrets.token_hex(8)
            output, errors = _output_files(folder, build_id)
            atomic_write_json(folder / _START_FILE, {"id": build_id, "started_utc": now_utc().isoformat()})
            _remove_older_output(folder)
            start_process(build_command(store.settings), output=output, errors=errors, lock=lock)
        finally:
            os.close(lock)  # the process has its own copy


def read_lesson_build(store: Store) -> LessonBuild:
    """The state of the last build. Raises StorageFailed."""
    folder = _folder(store)
    if not (folder / _START_FILE).exists():
        return LessonBuild()
    with translate_disk_errors(folder, advice=_DISK_ADVICE):
        try:
            lock = acquire_shared_lock(folder / "lock")
        except LockHeldError:
            start = _read_start(folder)
            return LessonBuild(state="running", started_utc=datetime.fromisoformat(start["started_utc"]))
        try:  # under the lock, so that no new build begins meanwhile
            return _read_ended_build(folder)
        finally:
            os.close(lock)


def _read_ended_build(folder: Path) -> LessonBuild:
    start = _read_start(folder)
    output, errors = _output_files(folder, start["id"])
    result, messages = _read_result(output), errors.read_text("utf-8", "replace") if errors.exists() else ""
    times = [path.stat().st_mtime for path in (output, errors) if path.exists()]
    ended = LessonBuild(
        state="failed" if result is None else "finished",
        started_utc=datetime.fromisoformat(start["started_utc"]),
        finished_utc=datetime.fromtimestamp(max(times), UTC) if times else None,
    )
    if result is None:
        return _with_result(ended, message=_failure_message(messages))
    version, is_new = int(result["version"]), bool(result["fresh"])
    message = f"Built lesson set {version}." if is_new else "The lessons are up to date: nothing changed since the last build."
    return _with_result(ended, message=message, lesson_set=str(result["hash"]), version=version, is_new=is_new)


def _with_result(build: LessonBuild, **fields: Any) -> LessonBuild:
    return LessonBuild(state=build.state, started_utc=build.started_utc, finished_utc=build.finished_utc, **fields)


def _read_start(folder: Path) -> dict[str, str]:
    start: dict[str, str] = json.loads((folder / _START_FILE).read_bytes())
    return start


def _read_result(output: Path) -> dict[str, Any] | None:
    """What the command printed once it had built a set; None if it did not come to that."""
    try:
        result = json.loads(output.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return result if isinstance(result, dict) and {"hash", "version", "fresh"} <= result.keys() else None


def _failure_message(messages: str) -> str:
    """The command's own error with its advice."""
    if "Traceback (most recent call last)" in messages:
        return "The build failed because of a mistake in Yearling. The folder lessons/build has the details for a bug report."
    error = messages.rpartition("Error: ")[2].strip()
    return error[-_MAX_MESSAGE_CHARS:] or "The build was ended before it was complete. Build the lessons again."


def _output_files(folder: Path, build_id: str) -> tuple[Path, Path]:
    return folder / f"output-{build_id}.json", folder / f"output-{build_id}.txt"


def _remove_older_output(folder: Path) -> None:
    for path in folder.glob("output-*"):
        path.unlink(missing_ok=True)


def _folder(store: Store) -> Path:
    return lessons_dir(store) / "build"
