"""A run folder: the complete record of one training run, and everything that is needed to resume it.

    run.json              written once: config, hashes of base model and lesson set, code, packages, device, seed, command
    metrics.jsonl         one line per step
    status.json           current step, state and last message
    checkpoints/          see `checkpoints.py`
    rollouts/             sampled rollouts by step, recorded before the step learns from them
    log.txt               messages for people
    stop                  exists while the run is asked to stop
    lock                  locked by the process that trains the run

This module knows files only; `loop.py` is the training loop. `yearling.store` reads the same folder to display runs.
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
from yearling.files.private import PRIVATE_FOLDER_MODE, create_private_file
from yearling.files.sync import make_directory, sync_directory, sync_file
from yearling.training.checkpoints import CheckpointStore, resume_advice
from yearling.training.provenance import describe_code, describe_machine, describe_packages

RUN_FORMAT_VERSION = 1
"""Version of run.json's layout. Runs of other versions are refused."""
_LOCK_TIMEOUT_S = 1.0
"""How long to wait for the lock: a process that only checks whether a run is alive holds it for an instant."""


class RunFolder:
    """One run folder. Reading needs no lock. Methods that write what a step produces need `locked`."""

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
        config: Mapping[str, object],
        *,
        method: str,
        seed: int,
        total_steps: int = 0,
        model: Mapping[str, object] | None = None,
        lesson_set: str = "",
        setup: Mapping[str, object] | None = None,
        options: Mapping[str, object] | None = None,
        command: Sequence[str] = (),
        threads: int = 0,
        device: str = "cpu",
    ) -> RunFolder:
        """Create the folder and its run.json. The folder must not exist; its name becomes the run's id.

        `config` holds the method's settings as JSON values, `options` those of the loop (`TrainOptions`). `model` names the
        weights to train (`name`, `sha256`, `source_sha256`). `setup` is everything else that the method is built from
        (`setup.py`). Raises Conflict if the folder exists, StorageFailed if it cannot be written.
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
            make_directory(folder.parent)
            try:
                folder.mkdir(PRIVATE_FOLDER_MODE)
            except FileExistsError:
                raise Conflict(f"The run {folder.name} already exists.", advice="Resume it, or choose another id.") from None
            atomic_write_json(folder / "run.json", facts)
            sync_directory(folder.parent)
        return cls(folder, facts)

    @classmethod
    def open(cls, folder: Path) -> RunFolder:
        """Open an existing run. Raises NotFound, and Untrusted if run.json is damaged or has another format version."""
        try:
            facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise NotFound(f"There is no run {folder.name}.", advice="`yearling train list` shows the runs.") from None
        except ValueError as error:
            raise Untrusted(f"The run.json of run {folder.name} is damaged: {error}.") from None
        if facts.get("version") != RUN_FORMAT_VERSION:
            raise Untrusted(f"The run {folder.name} was made by another version of Yearling.", advice="Use that version.")
        return cls(folder, facts)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock for the block. The operating system releases it if the process dies.

        Raises Conflict if another process trains the run."""
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
        """Append the line of a step. A number that is not finite becomes null, because JSON cannot express it."""
        line = {"step": step, "time_utc": now_utc().isoformat()}
        line |= {name: _finite_or_none(value) for name, value in metrics.items()}
        path = self.folder / "metrics.jsonl"
        with self._translate_disk_errors():
            create_private_file(path)
        with self._translate_disk_errors(), path.open("ab") as file:
            file.write(json.dumps(line, allow_nan=False).encode() + b"\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """All complete lines, oldest first. A last line that a kill left incomplete is ignored."""
        try:
            content = (self.folder / "metrics.jsonl").read_bytes()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in content.split(b"\n")[:-1]]

    def truncate_metrics(self, step: int) -> None:
        """Drop the lines after `step` and an incomplete last line. The steps that are repeated write them again."""
        path = self.folder / "metrics.jsonl"
        if not path.is_file():
            return
        complete = path.read_bytes().split(b"\n")[:-1]
        kept_lines = [line for line in complete if json.loads(line)["step"] <= step]
        with self._translate_disk_errors():
            atomic_write_bytes(path, b"".join(line + b"\n" for line in kept_lines))

    def sync_metrics(self) -> None:
        """Make the lines durable, so that no checkpoint outlives the metrics before it."""
        path = self.folder / "metrics.jsonl"
        if path.is_file():
            with self._translate_disk_errors():
                sync_file(path)

    # Rollouts

    def record_rollouts(self, step: int, rollouts: Sequence[Mapping[str, object]], *, attempt: int = 0) -> None:
        """Record, as JSON values, the rollouts that a step is about to learn from. They are durable on return.

        A step that is repeated after a kill learns from the recorded rollouts, even if sampling again would give others.
        `attempt` numbers the rounds of sampling within one step."""
        lines = b"".join(json.dumps(rollout, ensure_ascii=False).encode() + b"\n" for rollout in rollouts)
        path = self._rollouts_path(step, attempt)
        with self._translate_disk_errors():
            make_directory(path.parent)
            atomic_write_bytes(path, gzip.compress(lines, compresslevel=3, mtime=0))

    def read_rollouts(self, step: int, *, attempt: int = 0) -> list[dict[str, object]] | None:
        """The recorded rollouts of a step, or None if none were recorded. Raises Untrusted if the file is damaged."""
        path = self._rollouts_path(step, attempt)
        try:
            lines = gzip.decompress(path.read_bytes()).split(b"\n")[:-1]
            return [json.loads(line) for line in lines]
        except FileNotFoundError:
            return None
        except (OSError, EOFError, ValueError) as error:
            raise Untrusted(f"{path} is damaged: {error}.", advice="Delete it: the step then samples again.") from None

    def _rollouts_path(self, step: int, attempt: int) -> Path:
        return self.folder / "rollouts" / f"step-{step:06d}-{attempt}.jsonl.gz"

    # Status and stopping

    def write_status(self, state: str, *, step: int, message: str = "", **extra: object) -> None:
        """Replace status.json. `state` is `running`, `stopped`, `finished` or `failed`; `extra` holds further JSON values."""
        status = {
            "state": state,
            "step": step,
            "updated_utc": now_utc().isoformat(),
            "pid": os.getpid(),
            "message": message,
            **extra,
        }
        with self._translate_disk_errors():
            # Written at every step and only displayed, so it is not worth a sync.
            atomic_write_json(self.folder / "status.json", status, durable=False)

    def read_status(self) -> dict[str, Any]:
        """The content of status.json, or state `created` if it is missing or damaged."""
        try:
            status: dict[str, Any] = json.loads((self.folder / "status.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a power cut may leave it empty; resuming relies on the checkpoints alone
            return {"state": "created", "step": 0, "message": ""}
        return status

    def request_stop(self) -> None:
        """Ask the training process to stop after its current step. Any process may call this."""
        with self._translate_disk_errors():
            (self.folder / "stop").touch()

    def stop_requested(self) -> bool:
        """Whether the run was asked to stop."""
        return (self.folder / "stop").exists()

    def clear_stop(self) -> None:
        """Withdraw the request to stop."""
        (self.folder / "stop").unlink(missing_ok=True)

    def log(self, message: str) -> None:
        """Append a line to the run's log."""
        path = self.folder / "log.txt"
        with self._translate_disk_errors():
            create_private_file(path)
        with self._translate_disk_errors(), path.open("a", encoding="utf-8") as file:
            file.write(f"{now_utc().isoformat(timespec='seconds')} {message}\n")

    def _translate_disk_errors(self) -> AbstractContextManager[None]:
        return translate_disk_errors(self.folder, advice=resume_advice(self.folder))


def list_runs(runs_dir: Path) -> list[RunFolder]:
    """The runs in a folder, oldest first. Other entries are ignored."""
    return [RunFolder.open(runs_dir / run_id) for run_id in _run_ids(runs_dir)]


def find_run(runs_dir: Path, name: str) -> RunFolder:
    """A run by its id, by the beginning or end of its id, or `latest`. Raises NotFound, and BadInput if several runs match."""
    ids = _run_ids(runs_dir)
    if name == "latest":
        matches = ids[-1:]
    elif name in ids:
        matches = [name]
    else:
        matches = [run_id for run_id in ids if name and (run_id.startswith(name) or run_id.endswith(name))]
    if not matches:
        raise NotFound(f"There is no run {name!r}.", advice="`yearling train list` shows the runs.", param="run")
    if len(matches) > 1:
        raise BadInput(
            f"{len(matches)} runs match {name!r}.", advice="Give more of the id. The end of an id is unique.", param="run"
        )
    return RunFolder.open(runs_dir / matches[0])


def _run_ids(runs_dir: Path) -> list[str]:
    """The ids of the runs in a folder, oldest first: ids are time-ordered."""
    return [path.name for path in sorted(runs_dir.iterdir()) if (path / "run.json").is_file()] if runs_dir.is_dir() else []


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
