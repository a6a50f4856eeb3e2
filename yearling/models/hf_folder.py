"""A model folder in Hugging Face's format: which files make up the model, what they state, and one hash of all of them.

Independent of libraries and of loading. Only files from a fixed list of names and safetensors files are read; Python files and
pickled weights never are.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

from yearling.errors import BadInput, Untrusted
from yearling.files.reading import hash_file
from yearling.models.sources import refuse_pickle

HF_FILENAMES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
)
"""Files that belong to a model besides its weights. Python files never do."""

MAX_JSON_BYTES = 128 << 20
"""Largest JSON file of a model that is read. The largest published vocabularies take about 35 MB."""
MAX_SAFETENSORS_HEADER_BYTES = 16 << 20
MAX_README_BYTES = 64 << 10
"""How much of a model card is read: its licence is in the first lines."""

WEIGHTS_INDEX_FILENAME = "model.safetensors.index.json"
"""Names the file of each tensor, if there are several."""


def hash_model_files(files: list[Path]) -> str:
    """SHA-256 of the lines `HASH  NAME` of several files, sorted by name; equals `sha256sum FILES | sha256sum`."""
    lines = [f"{hash_file(file)}  {file.name}\n" for file in sorted(files, key=lambda file: file.name)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def list_model_files(folder: Path) -> list[Path]:
    """The files of a Hugging Face folder that make up the model, sorted by name.

    Raises Untrusted if the weights are pickled, a JSON file is damaged or a shard is outside the folder, BadInput if a file is
    missing.
    """
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"{folder} has no config.json, so it is not a model in Hugging Face's format.",
            advice="Give a GGUF file, or a folder with config.json, tokenizer.json and safetensors files.",
        )
    weights = list_weight_files(folder)
    if not (folder / "tokenizer.json").is_file():
        raise BadInput(
            f"{folder} has no tokenizer.json.",
            advice="Load its tokenizer with transformers (AutoTokenizer) and save it there with save_pretrained.",
        )
    files = [folder / name for name in (*HF_FILENAMES, WEIGHTS_INDEX_FILENAME) if (folder / name).is_file()]
    return sorted([*files, *weights], key=lambda file: file.name)


def list_weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a Hugging Face folder, sorted by name.

    Raises Untrusted if the weights are pickled or the index names a file outside the folder, BadInput if a file is missing.
    """
    index = folder / WEIGHTS_INDEX_FILENAME
    if index.is_file():
        weight_map = read_json_object(index).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise Untrusted(f"{index.name} names no weight files.", advice="Fetch the model again.")
        names = sorted({str(name) for name in weight_map.values()})
        if outside := [name for name in names if Path(name).name != name or "\\" in name or not name.endswith(".safetensors")]:
            raise Untrusted(f"{index.name} names a file outside the folder: {outside[0]!r}.", advice="Do not trust this model.")
        if missing := [name for name in names if not (folder / name).is_file()]:
            raise BadInput(f"{folder} lacks {len(missing)} of its {len(names)} weight files, such as {missing[0]}.")
        return [folder / name for name in names]
    single = folder / "model.safetensors"
    if single.is_file():
        return [single]
    for file in sorted(folder.iterdir()):
        refuse_pickle(file.name)
    raise BadInput(f"{folder} has no model.safetensors.", advice="Give a folder with safetensors weights, or a GGUF file.")


def inspect_safetensors(files: list[Path]) -> tuple[int, str]:
    """(number of weights, their commonest dtype) from the headers, checked against the sizes of the files.

    Raises Untrusted if a file is damaged or there are no weights.
    """
    from safetensors import SafetensorError, safe_open

    weights: Counter[str] = Counter()
    for file in files:
        check_safetensors_header(file)
        try:
            with safe_open(file, framework="np") as tensors:
                for key in tensors.keys():  # noqa: SIM118  (not a dict: iterating it is not supported)
                    part = tensors.get_slice(key)
                    weights[part.get_dtype()] += math.prod(part.get_shape())
        except (SafetensorError, OSError, ValueError) as error:
            raise Untrusted(f"{file.name} is truncated or damaged: {error}.", advice="Fetch the file again.") from None
    if not weights:
        raise Untrusted("The safetensors files have no weights.", advice="Fetch them again.")
    return weights.total(), weights.most_common(1)[0][0]


def check_safetensors_header(path: Path) -> None:
    """Raises Untrusted if the header of a safetensors file is longer than the file or than `MAX_SAFETENSORS_HEADER_BYTES`."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > min(MAX_SAFETENSORS_HEADER_BYTES, path.stat().st_size):
        raise Untrusted(
            f"{path.name} is truncated or damaged: its header claims {length:,} bytes.", advice="Fetch the file again."
        )


def read_json_object(path: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """The JSON object in one of a model's files; `{}` for a missing file if `missing_ok`.

    Raises FileNotFoundError if the file is missing and `missing_ok` is false, Untrusted if it does not hold a JSON object.
    """
    if missing_ok and not path.is_file():
        return {}
    if path.stat().st_size > MAX_JSON_BYTES:
        raise Untrusted(f"The model's {path.name} is larger than {MAX_JSON_BYTES:,} bytes.", advice="Fetch the model again.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise Untrusted(f"The model's {path.name} is not valid JSON: {error}.", advice="Fetch the model again.") from None
    if not isinstance(value, dict):
        raise Untrusted(f"The model's {path.name} is not a JSON object.", advice="Fetch the model again.")
    return value


def read_readme_licence(folder: Path) -> str:
    """The `license:` of a model card's front matter; empty if it states none."""
    card = folder / "README.md"
    if not card.is_file():
        return ""
    with card.open("rb") as file:
        text = file.read(MAX_README_BYTES).decode("utf-8", "replace").replace("\r\n", "\n")
    front = re.match(r"---\s*\n(.*?)\n---\s*\n", text, re.DOTALL)
    match = re.search(r"^license:\s*[\"']?([\w.+-]+)", front[1], re.MULTILINE) if front else None
    return match[1] if match else ""
