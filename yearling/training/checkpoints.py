"""Checkpoints of a training run: everything that the run needs to resume, verified by hash before it is used.

    checkpoints/step-000040/manifest.json        step, score, SHA-256 of the two other files
    checkpoints/step-000040/state.json           structure and plain values of the state
    checkpoints/step-000040/state.safetensors    tensors of the state
    checkpoints/.new-*                           a checkpoint being written; renamed once it is complete and on disk

A checkpoint is either complete or absent. The store keeps the last two checkpoints and the best one. Nothing is pickled.
Independent of methods: a state is any nesting of dicts, lists and tuples over tensors and plain values.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yearling.errors import NotFound, Untrusted
from yearling.files.atomic import TEMPORARY_PREFIX
from yearling.files.disk import DiskAdvice, translate_disk_errors
from yearling.files.folders import publish_directory, remove_directory, remove_leftovers, staging_directory
from yearling.files.reading import hash_file
from yearling.files.sync import make_directory

if TYPE_CHECKING:
    from torch import Tensor

_FOLDER_NAME = re.compile(r"step-\d{6,}")
_TENSOR, _DICT, _TUPLE = "tensor", "dict", "tuple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A checkpoint on disk. `score` is the validation score (higher is better), None if the step was not validated."""

    step: int
    score: float | None
    folder: Path
    hashes: Mapping[str, str]
    """File name -> SHA-256, as recorded in the manifest."""


class CheckpointStore:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, state: Mapping[str, object], *, score: float | None = None) -> Checkpoint:
        """Write the state after `step`, which is durable on return. Then delete all but the last two and the best checkpoint.

        Raises TypeError if the state holds anything but tensors and plain values, StorageFailed if the disk is full or fails."""
        values, tensors = flatten_state(state)
        target = self.folder / f"step-{step:06d}"
        with translate_disk_errors(self.folder.parent, advice=resume_advice(self.folder.parent)):
            make_directory(self.folder)
            remove_leftovers(self.folder)  # of killed processes: the caller holds the run's lock
            with staging_directory(self.folder, prefix=f"{TEMPORARY_PREFIX}{step:06d}-") as staging:
                hashes = {
                    "state.json": _write_bytes(staging / "state.json", json.dumps(values).encode()),
                    "state.safetensors": _write_tensors(staging / "state.safetensors", tensors),
                }
                manifest = {"step": step, "score": score, "hashes": hashes}
                _write_bytes(staging / "manifest.json", json.dumps(manifest, indent=2).encode() + b"\n")
                # An existing target was damaged or rolled back: the same step gives the same state.
                publish_directory(staging, target, if_exists="replace")
            self._prune()
        return Checkpoint(step=step, score=score, folder=target, hashes=hashes)

    def all(self) -> list[Checkpoint]:
        """All complete checkpoints, oldest first. Their hashes are not verified."""
        if not self.folder.is_dir():
            return []
        folders = [path for path in sorted(self.folder.iterdir()) if _FOLDER_NAME.fullmatch(path.name)]
        checkpoints = [checkpoint for checkpoint in map(_read_manifest, folders) if checkpoint is not None]
        return sorted(checkpoints, key=lambda checkpoint: checkpoint.step)

    def best(self) -> Checkpoint | None:
        """The checkpoint with the highest score, the earliest one on a tie. None if no checkpoint has a score."""
        scored = [checkpoint for checkpoint in self.all() if checkpoint.score is not None]
        return max(scored, key=lambda checkpoint: (checkpoint.score or 0.0, -checkpoint.step), default=None)

    def latest(self) -> tuple[Checkpoint, dict[str, Any]] | None:
        """The newest undamaged checkpoint and its state. Damaged checkpoints are skipped. None if there is no checkpoint.

        Raises Untrusted if there are checkpoints and all of them are damaged."""
        checkpoints = self.all()
        for checkpoint in reversed(checkpoints):
            try:
                return checkpoint, load_state(checkpoint)
            except Untrusted:
                if checkpoint is checkpoints[0]:
                    raise
        return None

    def choose(self, name: str) -> Checkpoint:
        """The checkpoint named `best` (the last one if none has a score), `last`, or by its step number. Raises NotFound."""
        checkpoints = self.all()
        matches = checkpoints[-1:] if name == "last" else [each for each in checkpoints if str(each.step) == name]
        if name == "best":
            best = self.best()
            matches = checkpoints[-1:] if best is None else [best]
        if not matches:
            steps = ", ".join(str(checkpoint.step) for checkpoint in checkpoints) or "none"
            raise NotFound(f"There is no checkpoint {name!r}.", advice=f"Available checkpoints: {steps}.", param="checkpoint")
        return matches[0]

    def discard_after(self, step: int) -> None:
        """Delete the checkpoints of later steps, which a run that resumes from `step` makes again."""
        for path in list(self.folder.glob("step-*")) if self.folder.is_dir() else []:
            if _FOLDER_NAME.fullmatch(path.name) and int(path.name.removeprefix("step-")) > step:
                remove_directory(path)

    def _prune(self) -> None:
        checkpoints = self.all()
        best = self.best()
        for checkpoint in checkpoints[:-2]:
            if best is None or checkpoint.step != best.step:
                remove_directory(checkpoint.folder)


def resume_advice(run_folder: Path) -> DiskAdvice:
    """What to do if the disk of a run fails: training stops, and resumes from the last checkpoint."""
    resume = f"then run `yearling train resume {run_folder.name}`"
    return DiskAdvice(
        full=f"Training stopped, and its last checkpoint is safe. Free some space, {resume}.",
        not_writable=f"Check the folder and its disk, {resume}.",
        failing=f"Check the folder and its disk, {resume}.",
    )


def load_state(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state of a checkpoint, after its hashes are verified. Raises Untrusted if a file is missing or was changed."""
    from safetensors.torch import load_file

    for name, expected in checkpoint.hashes.items():
        try:
            actual = hash_file(checkpoint.folder / name)
        except OSError as error:
            raise _damaged_error(checkpoint, f"{name} cannot be read ({error.strerror})") from None
        if actual != expected:
            raise _damaged_error(checkpoint, f"{name} was changed")
    values = json.loads((checkpoint.folder / "state.json").read_bytes())
    state = unflatten_state(values, load_file(checkpoint.folder / "state.safetensors"))
    if not isinstance(state, dict):
        raise _damaged_error(checkpoint, "it holds no state")
    return state


def flatten_state(state: object) -> tuple[object, dict[str, Tensor]]:
    """(JSON values, tensors by name). Tensors, tuples and dicts, whose keys may be numbers, are marked in the JSON values.

    Raises TypeError, with the path of the value, for anything that is neither a tensor nor a plain value."""
    import torch

    tensors: dict[str, Tensor] = {}
    seen_storages: set[int] = set()

    def visit(value: object, path: str) -> object:
        if isinstance(value, torch.Tensor):
            name = f"{len(tensors):06d}"
            tensor = value.detach().cpu().contiguous()
            storage = tensor.untyped_storage().data_ptr()
            # safetensors refuses tensors that share memory.
            tensors[name] = tensor.clone() if storage in seen_storages else tensor
            seen_storages.add(storage)
            return {_TENSOR: name}
        if isinstance(value, Mapping):
            return {_DICT: [[visit(key, path), visit(item, f"{path}.{key}")] for key, item in value.items()]}
        if isinstance(value, tuple):
            return {_TUPLE: [visit(item, path) for item in value]}
        if isinstance(value, list):
            return [visit(item, path) for item in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"a checkpoint cannot hold a {type(value).__name__} ({path})")

    return visit(state, "state"), tensors


def unflatten_state(values: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The inverse of `flatten_state`."""
    if isinstance(values, list):
        return [unflatten_state(item, tensors) for item in values]
    if not isinstance(values, dict):
        return values
    if _TENSOR in values:
        return tensors[values[_TENSOR]]
    if _TUPLE in values:
        return tuple(unflatten_state(item, tensors) for item in values[_TUPLE])
    return {unflatten_state(key, tensors): unflatten_state(item, tensors) for key, item in values[_DICT]}


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write the tensors; returns the SHA-256 of the file."""
    from safetensors.torch import save_file

    save_file(dict(tensors), path)
    return hash_file(path)


def _write_bytes(path: Path, content: bytes) -> str:
    """Write a file; returns the SHA-256 of its content."""
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _read_manifest(folder: Path) -> Checkpoint | None:
    """The checkpoint that a folder's manifest describes, or None if the manifest is missing or damaged."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return Checkpoint(step=manifest["step"], score=manifest["score"], folder=folder, hashes=manifest["hashes"])
    except (OSError, ValueError, KeyError):
        return None


def _damaged_error(checkpoint: Checkpoint, problem: str) -> Untrusted:
    return Untrusted(
        f"The checkpoint of step {checkpoint.step} is damaged: {problem}.",
        advice="Delete its folder to resume from the previous checkpoint, or start a new run.",
    )
