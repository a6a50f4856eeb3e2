"""Build a `tokenizers` pipeline from the vocabulary in a GGUF file's metadata.

Knows llama.cpp's conventions (which pre-tokenizer a name stands for, which tokens are special); nothing of chat or of files.
Names, patterns and rules follow llama.cpp's `src/llama-vocab.cpp`; where it rewrote a pattern for its own regex engine, the
model's original is used here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from yearling.errors import Unsupported, Untrusted, malformed_as_untrusted

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""`tokenizer.ggml.token_type`."""

END_OF_TURN_TOKENS = frozenset(
    {
        *("<|im_end|>", "<|eot_id|>", "<|end|>", "<|endoftext|>", "<|end_of_text|>", "<end_of_turn>", "<|eom_id|>", "<EOT>"),
        *("_<EOT>", "[EOT]", "[EOS]", "</s>", "<eos>", "<|return|>", "<end_of_utterance>", "<｜end▁of▁sentence｜>"),
    }
)
"""Special tokens that end an answer whatever the file's own eos id is, as in llama.cpp."""


def end_of_turn_ids(special_tokens: Mapping[str, int]) -> set[int]:
    """Ids of the special tokens that end an answer by their names.

    In the format of gpt-oss, `<|call|>` ends an answer and `<|end|>` only a part of one.
    """
    names = END_OF_TURN_TOKENS & special_tokens.keys()
    if {"<|return|>", "<|call|>", "<|end|>"} <= special_tokens.keys():
        names = (names | {"<|call|>"}) - {"<|end|>"}
    return {special_tokens[name] for name in names}


_SPACE_RULES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+"
_QWEN2 = rf"{_CONTRACTIONS}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACE_RULES}"
_QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACE_RULES}"
)
_LLAMA3 = rf"{_CONTRACTIONS}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACE_RULES}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_TEKKEN = (
    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*"
    rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACE_RULES}"
)

# The patterns that split text, applied in turn, by `tokenizer.ggml.pre`.
_PATTERNS: dict[str, tuple[str, ...]] = {
    "default": (r"[\p{P}$+<=>^~|]+", _GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"),
    **dict.fromkeys(("gpt-2", "phi-2", "mpt", "olmo"), (_GPT2,)),
    **dict.fromkeys(("smollm", "starcoder", "refact", "command-r", "codeshell"), (r"\p{N}", _GPT2)),
    **dict.fromkeys(("qwen2", "deepseek-r1-qwen", "stablelm2"), (_QWEN2,)),
    "qwen35": (_QWEN35,),
    **dict.fromkeys(("llama-bpe", "llama3", "llama-v3", "dbrx", "smaug-bpe"), (_LLAMA3,)),
    "tekken": (_TEKKEN,),
}
_IGNORES_MERGES = frozenset({"llama-bpe", "llama3", "llama-v3", "tekken"})
_ADDS_BOS = _IGNORES_MERGES
_NFC = frozenset({"qwen2", "qwen35", "deepseek-r1-qwen"})


PRE_TOKENIZERS = ("smollm", "qwen2", "qwen35", "llama-bpe", "tekken", "gpt-2", "default")
"""One name per rule, to find the name of a rule that is known only by its effect."""


@malformed_as_untrusted("The vocabulary of the GGUF file")
def build_tokenizer(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer that GGUF metadata describes. Raises Unsupported for an unknown kind, Untrusted for damaged metadata."""
    kind = metadata.get("tokenizer.ggml.model")
    tokens = metadata.get("tokenizer.ggml.tokens")
    if not isinstance(tokens, list) or not tokens:
        raise Untrusted("The model file has no vocabulary.", advice="Import a complete model, not a bare weights file.")
    types = metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    if kind == "gpt2":
        tokenizer = _byte_level(metadata, tokens)
    elif kind == "llama":
        tokenizer = _sentencepiece(metadata, tokens, types)
    else:
        raise Unsupported(
            f"The model's tokenizer is of the kind {kind!r}, which is not supported.",
            advice="Supported kinds are 'gpt2' (byte-level BPE) and 'llama' (SentencePiece).",
        )
    special = [token for token, type_ in zip(tokens, types, strict=True) if type_ in (CONTROL, UNKNOWN)]
    ordinary = [token for token, type_ in zip(tokens, types, strict=True) if type_ == USER_DEFINED]
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special if text])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in ordinary if text])
    return tokenizer


def adds_bos(metadata: Mapping[str, Any]) -> bool:
    """Whether raw text (not a chat template's output) starts with the beginning-of-sequence token."""
    default = metadata.get("tokenizer.ggml.model") == "llama" or metadata.get("tokenizer.ggml.pre") in _ADDS_BOS
    return bool(metadata.get("tokenizer.ggml.add_bos_token", default))


def named_stop_ids(metadata: Mapping[str, Any]) -> set[int]:
    """The special tokens of a GGUF file that end an answer by their names."""
    tokens: list[str] = metadata["tokenizer.ggml.tokens"]
    types = metadata.get("tokenizer.ggml.token_type") or [NORMAL] * len(tokens)
    special = {text: k for k, (text, type_) in enumerate(zip(tokens, types, strict=True)) if type_ in (CONTROL, USER_DEFINED)}
    return end_of_turn_ids(special)


def _byte_level(metadata: Mapping[str, Any], tokens: Sequence[str]) -> Tokenizer:
    pre = metadata.get("tokenizer.ggml.pre", "default")
    if pre not in _PATTERNS:
        raise Unsupported(
            f"The model splits text by the rule {pre!r} (tokenizer.ggml.pre), which is not supported.",
            advice="Import the model's Hugging Face folder instead, which carries its own tokenizer.json.",
        )
    merges = [_pair(line) for line in metadata.get("tokenizer.ggml.merges", ())]
    tokenizer = Tokenizer(_bpe(tokens, merges, ignore_merges=pre in _IGNORES_MERGES))
    if pre in _NFC:
        tokenizer.normalizer = normalizers.NFC()
    splits = [pre_tokenizers.Split(Regex(pattern), behavior="isolated") for pattern in _PATTERNS[pre]]
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _pair(line: str) -> tuple[str, str]:
    left, _, right = line.partition(" ")
    return left, right


def _bpe(tokens: Sequence[str], merges: Sequence[tuple[str, str]], **options: Any) -> models.BPE:
    # A repeated text keeps its first id; in llama.cpp's own table, too, text cannot produce the later ones.
    vocab: dict[str, int] = {}
    for index, token in enumerate(tokens):
        vocab.setdefault(token, index)
    usable = [(left, right) for left, right in merges if left in vocab and right in vocab and left + right in vocab]
    return models.BPE(vocab=vocab, merges=usable, **options)


def _sentencepiece(metadata: Mapping[str, Any], tokens: Sequence[str], types: Sequence[int]) -> Tokenizer:
    scores = metadata.get("tokenizer.ggml.scores")
    if not scores:
        raise Untrusted("The model file has a SentencePiece vocabulary without scores.")
    unknown = metadata.get("tokenizer.ggml.unknown_token_id", 0)
    merges = _merges_by_score(tokens, scores, types)
    model = _bpe(tokens, merges, unk_token=tokens[unknown], fuse_unk=True, byte_fallback=BYTE in types)
    tokenizer = Tokenizer(model)
    prefix = bool(metadata.get("tokenizer.ggml.add_space_prefix", True))
    spaces = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), spaces] if prefix else [spaces])
    strip = [decoders.Strip(" ", 1, 0)] if prefix else []
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    return tokenizer


def _merges_by_score(tokens: Sequence[str], scores: Sequence[float], types: Sequence[int]) -> list[tuple[str, str]]:
    """SentencePiece joins the adjacent pair whose joint piece scores best, which equals BPE with merges ordered by that score."""
    score_of = {token: score for token, score, type_ in zip(tokens, scores, types, strict=True) if type_ == NORMAL}
    merges = [
        (score, len(token[:cut]), token[:cut], token[cut:])
        for token, score in score_of.items()
        for cut in range(1, len(token))
        if token[:cut] in score_of and token[cut:] in score_of
    ]
    merges.sort(key=lambda item: (item[0], item[1]), reverse=True)
    return [(left, right) for _, _, left, right in merges]
