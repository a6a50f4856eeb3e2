"""Checkpoints: everything that a run goes on from, whole or not there, checked by hash before it is used.

    checkpoints/step-000040/manifest.json        step, score, SHA-256 of the other two
    checkpoints/step-000040/state.json           the state's structure and plain values
    checkpoints/step-000040/state.safetensors    its tensors
    checkpoints/.new-*                           being written; renamed when complete and flushed

The last two and the best are kept. Nothing pickled is written or read.
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

if TYPE_CHECKING:
    from torch import Tensor

_FOLDER_NAME = re.compile(r"step-\d{6,}")
_TENSOR, _DICT, _TUPLE = "tensor", "dict", "tuple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One that is there. `score` is the validation's, higher is better; None where it was not validated."""

    step: int
    score: float | None
    folder: Path
    hashes: Mapping[str, str]


class CheckpointStore:
    """The checkpoints of one run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, step: int, state: Mapping[str, Any], *, score: float | None = None) -> Checkpoint:
        """Write the state after `step`; durable on return. Then all but the last two and the best are deleted.

        Raises TypeError for a state that holds anything but tensors and plain values, StorageFailed."""
        plain, tensors = flatten_state(state)
        target = self.folder / f"step-{step:06d}"
        with translate_disk_errors(self.folder.parent, advice=resume_advice(self.folder.parent)):
            self.folder.mkdir(exist_ok=True)
            remove_leftovers(self.folder)  # the caller holds the run
            with staging_directory(self.folder, prefix=f"{TEMPORARY_PREFIX}{step:06d}-") as staging:
                hashes = {
                    "state.json": _write_bytes(staging / "state.json", json.dumps(plain).encode()),
                    "state.safetensors": _write_tensors(staging / "state.safetensors", tensors),
                }
                manifest = {"step": step, "score": score, "hashes": hashes}
                _write_bytes(staging / "manifest.json", json.dumps(manifest, indent=2).encode() + b"\n")
                # A target that exists was damaged or cut back: the same step gives the same state.
                publish_directory(staging, target, if_exists="replace")
            self._prune()
        return Checkpoint(step=step, score=score, folder=target, hashes=hashes)

    def all(self) -> list[Checkpoint]:
        """All that are there, oldest first; not checked."""
        if not self.folder.is_dir():
            return []
        found = (_read_manifest(path) for path in sorted(self.folder.iterdir()) if _FOLDER_NAME.fullmatch(path.name))
        return sorted((one for one in found if one is not None), key=lambda one: one.step)

    def best(self) -> Checkpoint | None:
        """The one with the highest score, the earliest of equals."""
        scored = [one for one in self.all() if one.score is not None]
        return max(scored, key=lambda one: (one.score or 0.0, -one.step), default=None)

    def latest(self) -> tuple[Checkpoint, dict[str, Any]] | None:
        """The newest whole one with its state, damaged ones passed over; None when there is none at all.

        Raises Untrusted when there are checkpoints and every one is damaged."""
        there = self.all()
        for checkpoint in reversed(there):
            try:
                return checkpoint, load_state(checkpoint)
            except Untrusted:
                if checkpoint is there[0]:
                    raise
        return None

    def choose(self, which: str) -> Checkpoint:
        """`best` (the last one where none has a score), `last`, or a step's number. Raises NotFound."""
        there = self.all()
        found = there[-1:] if which == "last" else [one for one in there if str(one.step) == which]
        if which == "best":
            best = self.best()
            found = there[-1:] if best is None else [best]
        if not found:
            steps = ", ".join(str(one.step) for one in there) or "none"
            raise NotFound(f"There is no checkpoint {which!r}.", advice=f"There are: {steps}.", param="checkpoint")
        return found[0]

    def discard_after(self, step: int) -> None:
        """Delete those of later steps: damaged ones that the run goes back behind."""
        for path in list(self.folder.glob("step-*")) if self.folder.is_dir() else []:
            if _FOLDER_NAME.fullmatch(path.name) and int(path.name.removeprefix("step-")) > step:
                remove_directory(path)

    def _prune(self) -> None:
        there = self.all()
        best = self.best()
        for checkpoint in there[:-2]:
            if best is None or checkpoint.step != best.step:
                remove_directory(checkpoint.folder)


def resume_advice(run_folder: Path) -> DiskAdvice:
    """What to do when the disk of a run fails: training stops, and goes on from the last checkpoint."""
    resume = f"then run `yearling train resume {run_folder.name}`"
    return DiskAdvice(
        full=f"Training stopped, and its last checkpoint is safe. Free some space, {resume}.",
        not_writable=f"Check the folder and its disk, {resume}.",
        failing=f"Check the folder and its disk, {resume}.",
    )


def load_state(checkpoint: Checkpoint) -> dict[str, Any]:
    """The state, after its hashes were checked. Raises Untrusted."""
    from safetensors.torch import load_file

    for name, expected in checkpoint.hashes.items():
        try:
            found = hash_file(checkpoint.folder / name)
        except OSError as error:
            raise _damaged_error(checkpoint, f"{name} cannot be read ({error.strerror})") from None
        if found != expected:
            raise _damaged_error(checkpoint, f"{name} was changed")
    plain = json.loads((checkpoint.folder / "state.json").read_bytes())
    state = unflatten_state(plain, load_file(checkpoint.folder / "state.safetensors"))
    if not isinstance(state, dict):
        raise _damaged_error(checkpoint, "it holds no state")
    return state


def flatten_state(state: Any) -> tuple[Any, dict[str, Tensor]]:
    """(JSON values, tensors by name). Keys of dicts may be numbers; tuples and tensors are marked. Raises TypeError."""
    import torch

    tensors: dict[str, Tensor] = {}
    owned: set[int] = set()

    def visit(value: Any, where: str) -> Any:
        if isinstance(value, torch.Tensor):
            name = f"{len(tensors):06d}"
            tensor = value.detach().cpu().contiguous()
            memory = tensor.untyped_storage().data_ptr()
            # safetensors refuses tensors that share memory.
            tensors[name] = tensor.clone() if memory in owned else tensor
            owned.add(memory)
            return {_TENSOR: name}
        if isinstance(value, Mapping):
            return {_DICT: [[visit(key, where), visit(item, f"{where}.{key}")] for key, item in value.items()]}
        if isinstance(value, tuple):
            return {_TUPLE: [visit(item, where) for item in value]}
        if isinstance(value, list):
            return [visit(item, where) for item in value]
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise TypeError(f"the state of a run cannot hold a {type(value).__name__} ({where})")

    return visit(state, "state"), tensors


def unflatten_state(plain: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The state that `pack` was given."""
    if isinstance(plain, list):
        return [unflatten_state(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if _TENSOR in plain:
        return tensors[plain[_TENSOR]]
    if _TUPLE in plain:
        return tuple(unflatten_state(item, tensors) for item in plain[_TUPLE])
    return {unflatten_state(key, tensors): unflatten_state(item, tensors) for key, item in plain[_DICT]}


def _write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> str:
    from safetensors.torch import save_file

    save_file(dict(tensors), path)
    return hash_file(path)


def _write_bytes(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _read_manifest(folder: Path) -> Checkpoint | None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return Checkpoint(step=manifest["step"], score=manifest["score"], folder=folder, hashes=manifest["hashes"])
    except (OSError, ValueError, KeyError):
        return None


def _damaged_error(checkpoint: Checkpoint, problem: str) -> Untrusted:
    return Untrusted(
        f"The checkpoint of step {checkpoint.step} is damaged: {problem}.",
        advice="Delete its folder to go on from the checkpoint before it, or start the run again.",
    )
