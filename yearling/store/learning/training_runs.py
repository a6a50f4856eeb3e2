"""Training runs as read from their folders, for display. Writes nothing except requests to stop.

The layout is described in `yearling/training/run.py`. Files that a kill or a power cut left incomplete are skipped.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

from yearling.errors import Conflict, NotFound, Untrusted
from yearling.files.locks import LockHeldError, acquire_shared_lock
from yearling.records import Run, RunState
from yearling.store.database.errors import translate_storage_errors

TrainingRunRecords = list[Run]
MetricsRow = dict[str, Any]
MetricsRows = list[MetricsRow]

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_INACTIVE_STATES: tuple[RunState, ...] = ("created", "stopped", "finished", "failed")


class _RunStatus(TypedDict, total=False):
    """The fields of `status.json` that a run is shown with."""

    state: RunState
    step: int
    total_steps: int
    updated_utc: str
    remaining_s: float | None
    message: str


class TrainingRunStore:
    """The training runs of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def list(self) -> TrainingRunRecords:
        """All runs, newest first. Damaged ones are skipped; `get` raises for them."""
        if not self.folder.is_dir():
            return []
        runs = []
        for path in self.folder.iterdir():
            if (path / "run.json").is_file():
                try:
                    runs.append(_read_run(path))
                except Untrusted:
                    continue
        return sorted(runs, key=lambda run: (run.created_utc, run.id), reverse=True)

    def get(self, run_id: str) -> Run:
        """A run by its id. Raises NotFound, Untrusted if its description is damaged."""
        return _read_run(self._path(run_id))

    def read_metrics(self, run_id: str, *, after_step: int = -1) -> MetricsRows:
        """The metrics of the steps after `after_step`, oldest first. Raises NotFound."""
        return MetricsTail(self._path(run_id) / "metrics.jsonl", after_step).read()

    def tail_metrics(self, run_id: str, *, after_step: int = -1) -> MetricsTail:
        """A reader that follows the metrics of a run while it is written. Raises NotFound."""
        return MetricsTail(self._path(run_id) / "metrics.jsonl", after_step)

    def request_stop(self, run_id: str) -> Run:
        """Ask the trainer to stop after the current step. Raises NotFound, Conflict if the run is not being trained."""
        run = self.get(run_id)
        if run.state != "running":
            raise Conflict(f"The run {run_id} is {run.state}, not running.", advice="There is nothing to stop.")
        path = self._path(run_id)
        with translate_storage_errors(f"The run folder {path}"):
            (path / "stop").touch()
        return run

    def _path(self, run_id: str) -> Path:
        path = self.folder / run_id
        if not _ID.fullmatch(run_id) or not (path / "run.json").is_file():
            raise NotFound(f"There is no run {run_id[:128]!r}.", advice="`yearling train list` shows the runs.", param="run")
        return path


@dataclass(slots=True)
class MetricsTail:
    """Reads the lines that were added to a metrics file since the last `read`.

    A resumed run rewrites the file and repeats steps; lines of steps that were read before are skipped.
    """

    path: Path
    after_step: int
    _inode: int = 0
    _offset: int = 0

    def read(self) -> MetricsRows:
        """The new complete lines."""
        try:
            with self.path.open("rb") as file:
                stat = os.fstat(file.fileno())
                if stat.st_ino != self._inode or stat.st_size < self._offset:
                    self._inode, self._offset = stat.st_ino, 0
                file.seek(self._offset)
                content = file.read()
        except FileNotFoundError:
            return []
        complete, _, _ = content.rpartition(b"\n")
        self._offset += len(complete) + 1 if complete else 0
        return list(self._new_rows(complete.splitlines()))

    def _new_rows(self, lines: list[bytes]) -> Iterator[MetricsRow]:
        for line in lines:
            try:
                row = json.loads(line)
            except ValueError:
                continue  # cut off by a power cut; a resumed run repairs it
            if row["step"] > self.after_step:
                self.after_step = row["step"]
                yield row


def _read_run(path: Path) -> Run:
    try:
        facts = json.loads((path / "run.json").read_text(encoding="utf-8"))
        status = _read_status(path)
        best_step, best_score = _best_checkpoint(path)
        updated, remaining = status.get("updated_utc"), status.get("remaining_s")
        state = _effective_state(path, status.get("state", "created"))
        return Run(
            id=path.name,
            method=facts["method"],
            state=state,
            step=int(status.get("step", 0)),
            total_steps=int(status.get("total_steps") or facts["total_steps"]),
            created_utc=datetime.fromisoformat(facts["created_utc"]),
            updated_utc=datetime.fromisoformat(updated) if updated else None,
            remaining_s=remaining if state == "running" else None,
            message=str(status.get("message", "")),
            model=str(facts["model"].get("name", "")),
            base_sha256=str(facts["model"].get("sha256", "")),
            lesson_set=str(facts["lesson_set"]),
            seed=int(facts["seed"]),
            best_step=best_step,
            best_score=best_score,
            facts=facts,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Untrusted(f"The description of the run {path.name} cannot be read: {error}.", advice=f"Move {path} away.") from None


def _read_status(path: Path) -> _RunStatus:
    try:
        status: _RunStatus = json.loads((path / "status.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # not synced when written, so a power cut may leave it empty
        return {}
    return status


def _effective_state(path: Path, reported: RunState) -> RunState:
    """The state of a run: running if its lock is held; killed if it reports to be running but nobody holds the lock."""
    try:
        os.close(acquire_shared_lock(path / "lock"))
    except LockHeldError:
        return "running"
    except OSError:
        return reported  # a read-only disk: nothing is trained there
    return reported if reported in _INACTIVE_STATES else "interrupted"


def _best_checkpoint(path: Path) -> tuple[int | None, float | None]:
    best: tuple[float, int] | None = None
    for manifest in path.glob("checkpoints/step-*/manifest.json"):
        try:
            fields = json.loads(manifest.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # just deleted, or damaged: the trainer checks hashes
        if fields["score"] is not None and (best is None or (fields["score"], -fields["step"]) > best):
            best = (fields["score"], -fields["step"])
    return (None, None) if best is None else (-best[1], best[0])
