"""Read and write safetensors: one file, or a folder of shards with an index.

Knows names and tensors, not what they mean. Nothing else than safetensors is ever opened: a pickled checkpoint can run code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from yearling.errors import BadInput, Untrusted
from yearling.files.atomic import atomic_path
from yearling.models.hf_folder import read_json_object

_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"})
_UNSAFE_ADVICE = "Convert it to safetensors with the tool that made it; pickled files can run code and are never opened."


def read_safetensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor on the CPU, in its stored type) of a file, or of every shard of a folder, one at a time.

    Raises Untrusted for pickled, damaged or incomplete weights, and BadInput where there are none."""
    for shard in _shards(path):
        try:
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  # not a dictionary
                    yield name, file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise Untrusted(f"{shard.name} is damaged or truncated ({error}).", advice="Fetch the model again.") from None


def read_safetensors_metadata(path: Path) -> dict[str, str]:
    """The free-form metadata in one file's header. Raises Untrusted for anything but a whole safetensors file."""
    refuse_pickled_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise Untrusted(f"{path.name} is damaged or truncated ({error}).", advice="Fetch it again.") from None


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write one file, whole or not at all; the same tensors give the same bytes."""
    with atomic_path(path) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata))
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    """The library writes the free-form metadata in an order that changes from run to run."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise RuntimeError("a sorted safetensors header is as long as an unsorted one")
        file.seek(8)
        file.write(text.ljust(length))


def refuse_pickled_file(path: Path) -> None:
    """Raises Untrusted when the file is, or may be, a pickled checkpoint."""
    if path.suffix in _PICKLES:
        raise Untrusted(f"{path.name} is a pickled checkpoint, which can run code when it is opened.", advice=_UNSAFE_ADVICE)


def _shards(path: Path) -> list[Path]:
    if path.is_file():
        refuse_pickled_file(path)
        return [path]
    index = path / "model.safetensors.index.json"
    if index.is_file():
        return _indexed_shards(path, index)
    if (path / "model.safetensors").is_file():
        return [path / "model.safetensors"]
    for pickle in sorted(path.glob("*")):
        refuse_pickled_file(pickle)
    raise BadInput(f"The folder {path.name} holds no safetensors weights.", advice="Give a folder with model.safetensors.")


def _indexed_shards(folder: Path, index: Path) -> list[Path]:
    weight_map = read_json_object(index, missing_ok=True).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise Untrusted(f"{index.name} names no shards.", advice="Fetch the model again.")
    names = sorted({str(name) for name in weight_map.values()})
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise Untrusted(f"The shard {name!r} of the model is missing.", advice="Fetch the model again.")
        refuse_pickled_file(folder / name)
    return [folder / name for name in names]
