"""What model files say about their tokenizer and chat template, and the cached copy of it in a model's folder.

Reads GGUF metadata and Hugging Face folders into two small records. Encodes no text and renders no template: that is the work of
`tokenizer.py` and `chat_template.py`. GGUF and `tokenizers` are imported inside the functions that need them, so that a server
with a cached tokenizer starts without them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from yearling.errors import BadInput, Untrusted, malformed_as_untrusted
from yearling.files.atomic import atomic_write_text
from yearling.models.hf_folder import read_json_object

if TYPE_CHECKING:
    from tokenizers import Tokenizer as TokenizersPipeline

_CACHE_VERSION = 1
_CACHE_TOKENIZER, _CACHE_METADATA = "tokenizer.json", "tokenizer_facts.json"


class ModelFiles(Protocol):
    """The part of an installed model that the tokenizer and the chat template need; `LocalModel` satisfies it."""

    @property
    def folder(self) -> Path:
        """The model's folder, which also holds the cache."""
        ...

    @property
    def weights(self) -> Path:
        """The GGUF file, or the folder itself for a model in Hugging Face's format."""
        ...

    @property
    def format(self) -> str:
        """`gguf` or `safetensors`."""
        ...

    @property
    def sha256(self) -> str:
        """Hash of the weights; the cache is valid for this hash only."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerMetadata:
    """The ids that a tokenizer needs beside its vocabulary."""

    stop_ids: tuple[int, ...]
    """Ids that end an answer, in rising order."""
    bos_id: int | None
    """The beginning-of-sequence token, if there is one."""
    adds_bos: bool
    """Whether raw text starts with `bos_id`. Chat templates write their own."""
    vocab_size: int = 0
    """Number of token ids; 0 means as many as the vocabulary has entries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateMetadata:
    """The chat template of a model as its files hold it."""

    default: str
    """The template's source; empty when the model has none."""
    tool_use: str
    """A second template for requests with tools, which few models have; empty otherwise."""
    special_tokens: dict[str, str]
    """Text of the template variables `bos_token`, `eos_token` and the like."""


@malformed_as_untrusted("The vocabulary or chat template of the GGUF file")
def cache_tokenizer(model: ModelFiles) -> None:
    """Write the converted tokenizer of a GGUF model into its folder, so that loading it takes a fraction of a second.

    A model in Hugging Face's format already has its tokenizer.json and is left unchanged. Raises Untrusted if the file is
    damaged, Unsupported if the vocabulary is of an unknown kind.
    """
    if model.format != "gguf":
        return
    from yearling.models.gguf import read_gguf
    from yearling.models.gguf_tokenizer import build_tokenizer

    metadata = read_gguf(model.weights).metadata
    pipeline = build_tokenizer(metadata)
    record = {
        "version": _CACHE_VERSION,
        "model_sha256": model.sha256,
        "tokenizer": asdict(gguf_tokenizer_metadata(metadata)),
        "template": asdict(gguf_template_metadata(metadata)),
    }
    atomic_write_text(model.folder / _CACHE_TOKENIZER, pipeline.to_str())
    atomic_write_text(model.folder / _CACHE_METADATA, json.dumps(record, ensure_ascii=False, sort_keys=True, indent=1))


def read_cached_tokenizer(model: ModelFiles) -> tuple[TokenizersPipeline, TokenizerMetadata] | None:
    """The tokenizer that `cache_tokenizer` wrote, or None if there is none for these weights."""
    record = _read_cache(model)
    if record is None:
        return None
    fields = record["tokenizer"]
    metadata = TokenizerMetadata(**fields | {"stop_ids": tuple(fields["stop_ids"])})
    return read_tokenizer_json(model.folder / _CACHE_TOKENIZER), metadata


def read_cached_template(model: ModelFiles) -> TemplateMetadata | None:
    """The chat template that `cache_tokenizer` wrote, or None if there is none for these weights."""
    record = _read_cache(model)
    return None if record is None else TemplateMetadata(**record["template"])


def _token_ids(values: Iterable[object], num_tokens: int) -> Iterator[int]:
    """The values that are ids of tokens. None and ids of no token are left out. Raises TypeError for anything else."""
    for value in values:
        if value is None:
            continue
        if not isinstance(value, int):
            raise TypeError(f"{value!r:.100} is no id of a token")
        if 0 <= value < num_tokens:
            yield value


@malformed_as_untrusted("The vocabulary of the GGUF file")
def gguf_tokenizer_metadata(metadata: Mapping[str, Any]) -> TokenizerMetadata:
    """From the metadata of a GGUF file. Raises Untrusted for damaged metadata."""
    from yearling.models.gguf_tokenizer import adds_bos, named_stop_ids

    num_tokens = len(metadata["tokenizer.ggml.tokens"])
    ids = {key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "eot", "eom")}
    bos_id = ids.pop("bos")
    return TokenizerMetadata(
        stop_ids=tuple(sorted({*_token_ids(ids.values(), num_tokens), *named_stop_ids(metadata)})),
        bos_id=next(_token_ids([bos_id], num_tokens), None),
        adds_bos=adds_bos(metadata),
        vocab_size=num_tokens,
    )


@malformed_as_untrusted("What the model's JSON files say about its tokens")
def folder_tokenizer_metadata(folder: Path, pipeline: TokenizersPipeline) -> TokenizerMetadata:
    """From the config files of a Hugging Face folder and the names of its tokens. Raises Untrusted if one is damaged."""
    from yearling.models.gguf_tokenizer import end_of_turn_ids

    config = read_json_object(folder / "config.json", missing_ok=True)
    generation = read_json_object(folder / "generation_config.json", missing_ok=True)
    tokenizer_config = read_json_object(folder / "tokenizer_config.json", missing_ok=True)
    added = pipeline.get_added_tokens_decoder()
    num_tokens = 1 + max([pipeline.get_vocab_size(with_added_tokens=True) - 1, *added])
    named: list[object] = [pipeline.token_to_id(special_token_text(tokenizer_config.get("eos_token")))]
    for value in (config.get("eos_token_id"), generation.get("eos_token_id")):
        named += value if isinstance(value, list) else [value]
    by_name = end_of_turn_ids({token.content: index for index, token in added.items()})
    bos_id = pipeline.token_to_id(special_token_text(tokenizer_config.get("bos_token")))
    with library_errors_as_untrusted("The model's tokenizer cannot encode an empty text"):
        first_ids = pipeline.encode("").ids[:1]
    return TokenizerMetadata(
        stop_ids=tuple(sorted({*_token_ids(named, num_tokens), *by_name})),
        bos_id=next(_token_ids([config.get("bos_token_id")], num_tokens), None) if bos_id is None else bos_id,
        adds_bos=bos_id is not None and first_ids == [bos_id],
    )


@malformed_as_untrusted("The vocabulary of the GGUF file")
def gguf_template_metadata(metadata: Mapping[str, Any]) -> TemplateMetadata:
    """From the metadata of a GGUF file. Raises Untrusted for damaged metadata."""
    tokens = metadata.get("tokenizer.ggml.tokens", [])
    special_tokens = {}
    for variable, key in (("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding")):
        for index in _token_ids([metadata.get(f"tokenizer.ggml.{key}_token_id")], len(tokens)):
            special_tokens[variable] = tokens[index]
    return TemplateMetadata(
        default=metadata.get("tokenizer.chat_template", ""),
        tool_use=metadata.get("tokenizer.chat_template.tool_use", ""),
        special_tokens=special_tokens,
    )


@malformed_as_untrusted("The model's tokenizer_config.json")
def folder_template_metadata(folder: Path) -> TemplateMetadata:
    """From chat_template.jinja, or `chat_template` in tokenizer_config.json (a string, or a list of named templates)."""
    config = read_json_object(folder / "tokenizer_config.json", missing_ok=True)
    declared = config.get("chat_template")
    templates = (
        {item["name"]: item["template"] for item in declared} if isinstance(declared, list) else {"default": declared or ""}
    )
    file = folder / "chat_template.jinja"
    if file.is_file():
        templates["default"] = file.read_text(encoding="utf-8")
    special_tokens = {key: special_token_text(value) for key, value in config.items() if key.endswith("_token")}
    return TemplateMetadata(
        default=templates.get("default", ""),
        tool_use=templates.get("tool_use", ""),
        special_tokens={key: text for key, text in special_tokens.items() if text},
    )


def special_token_text(value: object) -> str:
    """The text of a token in tokenizer_config.json, where it is a string, an object with `content`, or null."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def read_tokenizer_json(path: Path) -> TokenizersPipeline:
    """Open a tokenizer.json. Raises BadInput if it is missing, Untrusted if it cannot be parsed."""
    from tokenizers import Tokenizer as TokenizersPipeline

    if not path.is_file():
        raise BadInput(
            f"The model folder {path.parent.name} has no tokenizer.json.",
            advice="Save the tokenizer with transformers' AutoTokenizer.save_pretrained into the folder first.",
        )
    with library_errors_as_untrusted(f"The model's {path.name} cannot be read"):
        return TokenizersPipeline.from_file(str(path))


@contextmanager
def library_errors_as_untrusted(what: str) -> Iterator[None]:
    """Raises Untrusted for what `tokenizers` raises for a vocabulary that it cannot use: bare Exception, or a panic of Rust,
    which is no Exception.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        raise Untrusted(f"{what}: {error}.", advice="Fetch the model again.") from None


def _read_cache(model: ModelFiles) -> dict[str, Any] | None:
    record = read_json_object(model.folder / _CACHE_METADATA, missing_ok=True)
    is_valid = record.get("version") == _CACHE_VERSION and record.get("model_sha256") == model.sha256
    return record if is_valid and (model.folder / _CACHE_TOKENIZER).is_file() else None
