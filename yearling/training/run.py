"""A run folder, which explains itself: what was trained, on what, by which code, how far it is, and everything to go on from.

    run.json              written once: config, hashes of base model and lesson set, code, packages, device, seed, command
    metrics.jsonl         one line a step
    status.json           how far the run is, and what was said last
    checkpoints/          see `checkpoints.py`
    rollouts/             what a method drew before it learnt from it, by step
    stop                  there while somebody wants the run to stop
    lock                  held by the process that trains

Knows files only; the loop is `loop.py`'s. `yearling.store` reads the same folder for those who show runs.
"""

from __future__ import annotations

import gzip
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.files.atomic import atomic_write_bytes, atomic_write_json
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import LockHeldError, acquire_exclusive_lock
from yearling.files.sync import sync_directory, sync_file
from yearling.training.checkpoints import CheckpointStore, resume_advice
from yearling.training.provenance import describe_code, describe_machine, describe_packages

RUN_FORMAT_VERSION = 1
_LOCK_TIMEOUT_S = 1.0
"""Who only looks whether a run is alive holds its lock for an instant."""


class RunFolder:
    """One run folder. Reading needs no lock; whatever a step writes needs `locked`."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.folder = folder
        self.id = folder.name
        self.facts = facts
        """The content of run.json."""
        self.checkpoints = CheckpointStore(folder / "checkpoints")

    @classmethod
    def create(
        cls,
        folder: Path,
        config: Mapping[str, Any],
        *,
        method: str,
        seed: int,
        total_steps: int = 0,
        model: Mapping[str, Any] | None = None,
        lesson_set: str = "",
        setup: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        command: Sequence[str] = (),
        threads: int = 0,
        device: str = "cpu",
    ) -> RunFolder:
        """Make the folder, which must not exist yet; its name is the run's id.

        `config` is the method's own, as plain values; `options` are the loop's (how often to save and to validate); `model` says
        which weights are trained (`name`, `sha256`, `source_sha256`), `setup` what else the method is built from (`setup.py`).
        Raises Conflict, StorageFailed.
        """
        facts = {
            "version": RUN_FORMAT_VERSION,
            "id": folder.name,
            "method": method,
            "created_utc": now_utc().isoformat(),
            "seed": seed,
            "total_steps": total_steps,
            "config": dict(config),
            "setup": dict(setup or {}),
            "options": dict(options or {}),
            "model": dict(model or {}),
            "lesson_set": lesson_set,
            "command": list(command),
            "code": describe_code(),
            "packages": describe_packages(),
            "machine": describe_machine(threads, device),
        }
        with translate_disk_errors(folder, advice=resume_advice(folder)):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                folder.mkdir()
            except FileExistsError:
                raise Conflict(f"There is a run {folder.name} already.", advice="Resume it, or choose another id.") from None
            atomic_write_json(folder / "run.json", facts)
            sync_directory(folder.parent)
        return cls(folder, facts)

    @classmethod
    def open(cls, folder: Path) -> RunFolder:
        """Raises NotFound, and Untrusted when run.json is damaged or of a newer version."""
        try:
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(f"There is no run {folder.name}.", advice="`yearling train list` shows the runs.") from None
        except ValueError as error:
            raise Untrusted(f"The description of the run {folder.name} is damaged: {error}.") from None
        if facts.get("version") != RUN_FORMAT_VERSION:
            raise Untrusted(f"The run {folder.name} was made by another version of Yearling.", advice="Use that version.")
        return cls(folder, facts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run alone; the operating system lets go when the process dies. Raises Conflict while another trains it."""
        try:
            descriptor = acquire_exclusive_lock(self.folder / "lock", timeout_s=_LOCK_TIMEOUT_S)
        except LockHeldError:
            raise Conflict(
                f"The run {self.id} is being trained by another process.",
                advice=f"`yearling train stop {self.id}` stops it.",
            ) from None
        try:
            yield
        finally:
            os.close(descriptor)

    # Metrics

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add the line of a step. A number that is not finite is written as null, which is what JSON has for it."""
        line = {"step": step, "time_utc": now_utc().isoformat()}
        line |= {name: _finite_or_none(value) for name, value in metrics.items()}
        with self._translate_disk_errors(), (self.folder / "metrics.jsonl").open("ab") as file:
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """All whole lines, oldest first; a last line that a kill tore is left out."""
        try:
            content = (self.folder / "metrics.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in content.split(b"\n")[:-1]]

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines after `step`, and a torn one: the steps that are made again will write them again."""
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return
        whole = path.read_bytes().split(b"\n")[:-1]
        kept = [line for line in whole if json.loads(line)["step"] <= step]
        with self._translate_disk_errors():
            atomic_write_bytes(path, b"".join(line + b"\n" for line in kept))

    def sync_metrics(self) -> None:
        """Make the lines durable, so that no checkpoint outlives the lines before it."""
        path = self.folder / "metrics.jsonl"
        if path.is_file():
            with self._translate_disk_errors():
                sync_file(path)

    # Rollouts

    def record_rollouts(self, step: int, rollouts: Sequence[Mapping[str, Any]], *, attempt: int = 0) -> None:
        """Keep what a step is about to learn from, as JSON values; durable on return. Called before the update, so that a step
        that is made again learns from the same draws whatever engine drew them. `part` tells several draws of one step apart."""
        lines = b"".join(json.dumps(rollout, ensure_ascii=False).encode() + b"\n" for rollout in rollouts)
        path = self._rollouts_path(step, attempt)
        with self._translate_disk_errors():
            path.parent.mkdir(exist_ok=True)
            atomic_write_bytes(path, gzip.compress(lines, compresslevel=3, mtime=0))

    def read_rollouts(self, step: int, *, attempt: int = 0) -> list[dict[str, Any]] | None:
        """What was recorded for a step, or None: then draw, record and go on. Raises Untrusted when the file is damaged."""
        path = self._rollouts_path(step, attempt)
        try:
            lines = gzip.decompress(path.read_bytes()).split(b"\n")[:-1]
            return [json.loads(line) for line in lines]
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError) as error:
            raise Untrusted(f"{path} is damaged: {error}.", advice="Delete it: the step will be drawn anew.") from None

    def _rollouts_path(self, step: int, attempt: int) -> Path:
        return self.folder / "rollouts" / f"step-{step:06d}-{attempt}.jsonl.gz"

    # Status and stopping

    def write_status(self, state: str, *, step: int, message: str = "", **extra: Any) -> None:
        """Say how far the run is: `running`, `stopped`, `finished` or `failed`."""
        status = {
            "state": state,
            "step": step,
            "updated_utc": now_utc().isoformat(),
            "pid": os.getpid(),
            "message": message,
            **extra,
        }
        with self._translate_disk_errors():
            atomic_write_json(
                self.folder / "status.json", status, durable=False
            )  # written at every step, and only told to people

    def read_status(self) -> dict[str, Any]:
        try:
            status: dict[str, Any] = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a power cut may leave it empty; the checkpoints know better anyway
            return {"state": "created", "step": 0, "message": ""}
        return status

    def request_stop(self) -> None:
        """Ask whoever trains to stop after the step that runs now. Works from any process."""
        with self._translate_disk_errors():
            (self.folder / "stop").touch()

    def stop_requested(self) -> bool:
        return (self.folder / "stop").exists()

    def clear_stop(self) -> None:
        (self.folder / "stop").unlink(missing_ok=True)

    def log(self, message: str) -> None:
        """Add a line to the run's log."""
        with self._translate_disk_errors(), (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{now_utc().isoformat(timespec='seconds')} {message}\n")

    def _translate_disk_errors(self) -> AbstractContextManager[None]:
        return translate_disk_errors(self.folder, advice=resume_advice(self.folder))


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """The runs of a folder, oldest first; what is no run is passed over."""
    if not runs_dir.is_dir():
        return []
    return [RunFolder.open(path) for path in sorted(runs_dir.iterdir()) if (path / "run.json").is_file()]


def find_run(runs_dir: Path, name: str) -> RunFolder:
    """A run by its id, by what only its id begins or ends with, or `latest`. Raises NotFound, BadInput when several fit."""
    ids = [path.name for path in sorted(runs_dir.iterdir()) if (path / "run.json").is_file()] if runs_dir.is_dir() else []
    found = ids[-1:] if name == "latest" else [one for one in ids if name and (one.startswith(name) or one.endswith(name))]
    if name in ids:
        found = [name]
    if not found:
        raise NotFound(f"There is no run {name!r}.", advice="`yearling train list` shows the runs.", param="run")
    if len(found) > 1:
        raise BadInput(f"{len(found)} runs fit {name!r}.", advice="Give more of the id: its end tells runs apart.", param="run")
    return RunFolder.open(runs_dir / found[0])


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
