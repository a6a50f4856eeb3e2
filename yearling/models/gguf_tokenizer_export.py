"""Write a Hugging Face folder's tokenizer as GGUF metadata: the inverse of `gguf_tokenizer.py`.

GGUF names the rule that splits text instead of spelling it out, so the name is found by trial: the rule that splits a probe
text as the folder's tokenizer does. The result is checked before it is returned; a tokenizer that GGUF cannot express is
refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as TokenizersPipeline

from yearling.errors import Unsupported, Untrusted
from yearling.models.gguf_tokenizer import BYTE, CONTROL, NORMAL, PRE_TOKENIZERS, UNKNOWN, UNUSED, USER_DEFINED, build_tokenizer
from yearling.models.hf_folder import read_json_object
from yearling.models.tokenizer_metadata import folder_template_metadata, folder_tokenizer_metadata, read_tokenizer_json

PROBE = (
    "Hello world!  It's 3.14159 o'clock, WE'LL see;\n\n\tif (x == 10) { return y+='z'; }\r\n   https://a.b/c?d=1&e=2 naïve café "
    "ÀÉÎ 你好，世界 こんにちは 안녕 привет мир ١٢٣ ½ Ⅷ e\u0301 👩\u200d👧 🙂🙂 $100,000.00 --- ... \u00a0\u3000x "
    "CamelCaseWords 'tis a/b \u0915\u093f\n "
)


def folder_to_gguf_vocabulary(folder: Path, vocab_size: int) -> dict[str, Any]:
    """`tokenizer.*` metadata for a folder whose network has `vocab_size` rows. Raises Unsupported if GGUF cannot express it."""
    pipeline = read_tokenizer_json(folder / "tokenizer.json")
    state = json.loads(pipeline.to_str())
    if state["model"]["type"] != "BPE":
        raise Unsupported(f"Tokenizers of the kind {state['model']['type']} cannot be written to GGUF.")
    tokens, types = _tokens(pipeline, state, vocab_size)
    common = {"tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": types, **_ids_and_template(folder, pipeline)}
    merges = [tuple(merge) if isinstance(merge, list) else tuple(merge.split(" ", 1)) for merge in state["model"]["merges"]]
    if state["model"].get("byte_fallback"):
        candidates = [_sentencepiece(state, tokens, merges)]
    else:
        lines = [" ".join(merge) for merge in merges]
        model = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.merges": lines}
        candidates = [{**model, "tokenizer.ggml.pre": pre} for pre in PRE_TOKENIZERS]
    expected = pipeline.encode(PROBE, add_special_tokens=False).ids
    for candidate in candidates:
        metadata = {**candidate, **common}
        if candidate["tokenizer.ggml.model"] == "gpt2" and not _pre_tokenizes_equally(metadata, pipeline):
            continue
        if build_tokenizer(metadata).encode(PROBE, add_special_tokens=False).ids == expected:
            return metadata
    raise Unsupported(
        "The folder's tokenizer splits text in a way that has no name in GGUF.",
        advice="Serve the folder unchanged, with the torch engine.",
    )


def _pre_tokenizes_equally(metadata: dict[str, Any], pipeline: TokenizersPipeline) -> bool:
    """Whether the rule splits the probe as the pipeline does. Equal ids alone could be a coincidence if there are few merges."""
    if pipeline.pre_tokenizer is None:
        return False
    bare = {**metadata, "tokenizer.ggml.merges": []}
    built = build_tokenizer(bare)
    text = PROBE if pipeline.normalizer is None else pipeline.normalizer.normalize_str(PROBE)
    same_cuts = built.pre_tokenizer.pre_tokenize_str(text) == pipeline.pre_tokenizer.pre_tokenize_str(text)
    same_words = bool(getattr(built.model, "ignore_merges", False)) == bool(getattr(pipeline.model, "ignore_merges", False))
    same_form = built.normalizer is None or built.normalizer.normalize_str(PROBE) == text
    return same_cuts and same_words and same_form


def _tokens(pipeline: TokenizersPipeline, state: dict[str, Any], vocab_size: int) -> tuple[list[str], list[int]]:
    by_id = {index: text for text, index in pipeline.get_vocab(with_added_tokens=True).items()}
    added = pipeline.get_added_tokens_decoder()
    unknown = state["model"].get("unk_token")
    if max(by_id) >= vocab_size:
        raise Untrusted(
            f"The tokenizer has the token {max(by_id)}, but the network has {vocab_size} rows.", advice="Fetch the model again."
        )
    tokens, types = [], []
    for index in range(vocab_size):
        text = by_id.get(index)
        if text is None:
            text, kind = f"[PAD{index}]", UNUSED
        elif text == unknown:
            kind = UNKNOWN
        elif index in added:
            kind = CONTROL if added[index].special else USER_DEFINED
        elif state["model"].get("byte_fallback") and len(text) == 6 and text.startswith("<0x"):
            kind = BYTE
        else:
            kind = NORMAL
        tokens.append(text)
        types.append(kind)
    return tokens, types


def _sentencepiece(state: dict[str, Any], tokens: list[str], merges: list[tuple[str, ...]]) -> dict[str, Any]:
    """Scores in the order of the merges: an earlier merge scores better."""
    rank: dict[str, int] = {}
    for index, (left, right) in enumerate(merges):
        rank.setdefault(left + right, index)
    components = json.dumps([state.get("normalizer"), state.get("pre_tokenizer")])
    prefix = '"Prepend"' in components or ('"Metaspace"' in components and '"prepend_scheme": "never"' not in components)
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.scores": [-float(rank.get(token, len(merges) + index)) for index, token in enumerate(tokens)],
        "tokenizer.ggml.add_space_prefix": prefix,
    }


def _ids_and_template(folder: Path, pipeline: TokenizersPipeline) -> dict[str, Any]:
    ids, template = folder_tokenizer_metadata(folder, pipeline), folder_template_metadata(folder)
    eos = pipeline.token_to_id(template.special_tokens.get("eos_token", ""))
    unknown = pipeline.model.unk_token
    token_ids = {
        "bos_token_id": ids.bos_id,
        "eos_token_id": eos if eos is not None else next(iter(ids.stop_ids), None),
        "eot_token_id": next((index for index in ids.stop_ids if index != eos), None),
        "padding_token_id": read_json_object(folder / "config.json", missing_ok=True).get("pad_token_id"),
        "unknown_token_id": pipeline.token_to_id(unknown) if unknown else None,
    }
    metadata: dict[str, Any] = {
        f"tokenizer.ggml.{key}": value for key, value in token_ids.items() if value is not None and value >= 0
    }
    metadata["tokenizer.ggml.add_bos_token"] = ids.adds_bos
    if template.default:
        metadata["tokenizer.chat_template"] = template.default
    if template.tool_use:
        metadata["tokenizer.chat_template.tool_use"] = template.tool_use
    return metadata
