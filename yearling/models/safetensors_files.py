"""Read and write safetensors: one file, or a folder of shards with an index.

Knows names and tensors, not what they mean. Only safetensors are ever opened, because a pickled checkpoint can run code.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from yearling.errors import Untrusted
from yearling.files.atomic import atomic_path
from yearling.models.hf_folder import check_safetensors_header, list_weight_files
from yearling.models.sources import refuse_pickle


def read_safetensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor on the CPU in its stored type) of a file, or of every shard of a folder, one at a time.

    Raises Untrusted if the weights are pickled or damaged, BadInput if files are missing.
    """
    for shard in _weight_files(path):
        check_safetensors_header(shard)
        try:
            with safe_open(shard, framework="pt") as file:
                for name in file.keys():  # noqa: SIM118  # not a dictionary
                    yield name, file.get_tensor(name)
        except (SafetensorError, OSError) as error:
            raise Untrusted(f"{shard.name} is damaged or truncated ({error}).", advice="Fetch the model again.") from None


def read_safetensors_metadata(path: Path) -> dict[str, str]:
    """The free-form metadata in one file's header. Raises Untrusted if it is not a complete safetensors file."""
    refuse_pickle(path.name)
    check_safetensors_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise Untrusted(f"{path.name} is damaged or truncated ({error}).", advice="Fetch it again.") from None


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> None:
    """Write one file atomically; the same tensors give the same bytes."""
    with atomic_path(path) as temporary:
        save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, temporary, dict(metadata))
        _sort_metadata(temporary)


def _sort_metadata(path: Path) -> None:
    """Sort the free-form metadata, which the library writes in an order that changes from run to run."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > length:
            raise RuntimeError("the sorted safetensors header is longer than the unsorted one")
        file.seek(8)
        file.write(text.ljust(length))


def _weight_files(path: Path) -> list[Path]:
    if not path.is_file():
        return list_weight_files(path)
    refuse_pickle(path.name)
    return [path]
