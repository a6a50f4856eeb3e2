"""A vocabulary of about 300 tokens and GGUF files with it, small enough to build in every test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yearling.models.gguf import write_gguf
from yearling.models.tokenizer import _BYTE_BY_CHARACTER

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|eot_id|>")
USER_DEFINED = ("<tool_call>", "   ")
MERGES = ("h e", "l l", "ll o", "he llo", "Ġ w", "o r", "Ġw or", "1 2")


@dataclass(frozen=True)
class Files:
    """The part of a LocalModel that the tokenizer and the template read."""

    folder: Path
    weights: Path
    format: str = "gguf"
    sha256: str = "0" * 64


def byte_level_metadata(pre: str = "smollm", template: str = CHATML, **more: Any) -> dict[str, Any]:
    ordinary = [*_BYTE_BY_CHARACTER, *(merge.replace(" ", "") for merge in MERGES)]
    metadata = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [*SPECIAL, *ordinary, *USER_DEFINED],
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * len(ordinary) + [4] * len(USER_DEFINED),
        "tokenizer.ggml.merges": list(MERGES),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.chat_template": template,
    }
    return {key: value for key, value in (metadata | more).items() if value != ""}


def sentencepiece_metadata(**more: Any) -> dict[str, Any]:
    pieces = ["▁", "a", "b", "c", "ab", "▁ab", "abc", "▁abc", "bc", "d"]
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": ["<unk>", "<s>", "</s>", *byte_tokens, *pieces],
        "tokenizer.ggml.scores": [0.0] * 259 + [-10.0, -11.0, -12.0, -13.0, -1.0, -2.0, -4.0, -3.0, -0.5, -14.0],
        "tokenizer.ggml.token_type": [2, 3, 3] + [6] * 256 + [1] * len(pieces),
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        **more,
    }


def gguf_file(folder: Path, metadata: dict[str, Any]) -> Path:
    path = folder / "tiny.gguf"
    write_gguf(path, "llama", metadata, [])
    return path
