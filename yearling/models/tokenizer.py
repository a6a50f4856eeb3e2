"""Text to token ids and back, for local models, without torch or transformers.

Knows tokens and bytes; nothing of chat (`chat_template.py`) or of where models come from. Decoding is exact: `decode` joins the
bytes of the tokens, so a stream of ids gives the same text however it is divided. The reference is the model's own
tokenizer.json, or llama.cpp's reading of the GGUF metadata (`gguf_tokenizer.py`).
"""

from __future__ import annotations

import codecs
import json
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import BadInput, Unsupported
from yearling.models.tokenizer_metadata import (
    ModelFiles,
    TokenizerMetadata,
    folder_tokenizer_metadata,
    gguf_tokenizer_metadata,
    library_errors_as_untrusted,
    read_cached_tokenizer,
    read_tokenizer_json,
)

if TYPE_CHECKING:
    from tokenizers import AddedToken
    from tokenizers import Tokenizer as TokenizersPipeline


WRITTEN_MARKS = frozenset(
    {
        *("[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"),  # Mistral
        *("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"),  # Kimi K2
        *("<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"),
        *(
            "<｜tool▁calls▁begin｜>",
            "<｜tool▁calls▁end｜>",
            "<｜tool▁call▁begin｜>",
            "<｜tool▁sep｜>",
            "<｜tool▁call▁end｜>",
        ),  # DeepSeek
        *("<|start|>", "<|channel|>", "<|constrain|>", "<|message|>", "<|end|>", "<|call|>"),  # gpt-oss
    }
)
"""Control tokens that divide an answer into its parts. They are decoded as text, which `inference/messages/` reads."""


class StreamDecoder:
    """Decodes one answer token by token. The pushed texts and the flush together equal `Tokenizer.decode` of all ids."""

    def __init__(self, tokenizer: Tokenizer, *, skip_special: bool = True) -> None:
        self._tokenizer = tokenizer
        self._skip_special = skip_special
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._at_start = tokenizer.strips_first_space

    def push(self, token_id: int) -> str:
        """The text that this token completes; empty while a character is incomplete."""
        if self._skip_special and token_id in self._tokenizer.silent_ids:
            return ""
        data = self._tokenizer.token_bytes(token_id)
        if self._at_start and data:
            data = data.removeprefix(b" ")
            self._at_start = False
        return self._utf8.decode(data)

    def flush(self) -> str:
        """The rest at the end: U+FFFD if the answer stopped inside a character."""
        return self._utf8.decode(b"", final=True)


class Tokenizer:
    """The tokenizer of one model. Thread-safe.

    `special_ids` are the control tokens, which are never shown and only parsed from text on request. `stop_ids` are those that
    end an answer. `adds_bos` tells whether raw text should start with `bos_id`; chat templates write their own.
    """

    def __init__(
        self,
        pipeline: TokenizersPipeline,
        *,
        stop_ids: Iterable[int],
        bos_id: int | None,
        adds_bos: bool = False,
        vocab_size: int = 0,
    ) -> None:
        pipeline.no_padding()
        pipeline.no_truncation()
        self._pipeline = pipeline
        self._lock = threading.Lock()
        self._parses_special = True
        self._added: dict[int, AddedToken] = pipeline.get_added_tokens_decoder()
        self._bytes: dict[int, bytes] = {}
        self._byte_level, self.strips_first_space = _inspect_decoder(pipeline)
        self.special_ids = frozenset(index for index, token in self._added.items() if token.special)
        self.silent_ids = frozenset(index for index in self.special_ids if self._added[index].content not in WRITTEN_MARKS)
        """Control tokens without text in an answer."""
        self.stop_ids = frozenset(stop_ids)
        self.bos_id = bos_id
        self.adds_bos = adds_bos
        self.vocab_size = vocab_size or pipeline.get_vocab_size(with_added_tokens=True)

    @classmethod
    def from_gguf(cls, path: Path) -> Tokenizer:
        """From a GGUF file's metadata. Raises Untrusted for a damaged file, Unsupported for an unknown kind of vocabulary."""
        from yearling.models.gguf import read_gguf
        from yearling.models.gguf_tokenizer import build_tokenizer

        metadata = read_gguf(path).metadata
        return cls._from_metadata(build_tokenizer(metadata), gguf_tokenizer_metadata(metadata))

    @classmethod
    def from_hf_folder(cls, path: Path) -> Tokenizer:
        """From a Hugging Face folder's tokenizer.json and the ids in its config files. Raises BadInput if there is none."""
        pipeline = read_tokenizer_json(path / "tokenizer.json")
        return cls._from_metadata(pipeline, folder_tokenizer_metadata(path, pipeline))

    @classmethod
    def load(cls, model: ModelFiles) -> Tokenizer:
        """The tokenizer of an installed model, from the cache in its folder if that is valid."""
        if model.format != "gguf":
            return cls.from_hf_folder(model.weights if model.weights.is_dir() else model.weights.parent)
        cached = read_cached_tokenizer(model)
        return cls.from_gguf(model.weights) if cached is None else cls._from_metadata(*cached)

    @classmethod
    def _from_metadata(cls, pipeline: TokenizersPipeline, metadata: TokenizerMetadata) -> Tokenizer:
        return cls(
            pipeline,
            stop_ids=metadata.stop_ids,
            bos_id=metadata.bos_id,
            adds_bos=metadata.adds_bos,
            vocab_size=metadata.vocab_size,
        )

    def encode(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`, without a beginning-of-sequence token.

        With `special`, names of control tokens become those tokens; otherwise they are plain text. Raises BadInput for invalid
        Unicode (a lone surrogate).
        """
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadInput("The text contains half a character (a lone surrogate).", advice="Send valid Unicode.") from None
        with self._lock:  # the library stores this choice in the tokenizer, not in the call
            if self._parses_special != special:
                self._pipeline.encode_special_tokens = not special
                self._parses_special = special
            with library_errors_as_untrusted("The model's tokenizer cannot encode this"):
                return list(self._pipeline.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int], *, skip_special: bool = True) -> str:
        """The text of `ids`; bytes that are not UTF-8 become U+FFFD."""
        stream = StreamDecoder(self, skip_special=skip_special)
        return "".join([*map(stream.push, ids), stream.flush()])

    def new_stream_decoder(self, *, skip_special: bool = True) -> StreamDecoder:
        """A decoder for one answer."""
        return StreamDecoder(self, skip_special=skip_special)

    def token_id(self, text: str) -> int | None:
        """The id of the token with exactly this text, or None."""
        token_id: int | None = self._pipeline.token_to_id(text)
        return token_id

    def added_tokens(self) -> dict[str, bool]:
        """Tokens that are matched before text is split, by text; the value tells whether it is a control token."""
        return {token.content: token.special for token in self._added.values()}

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes of this token; empty for an id outside the vocabulary."""
        data = self._bytes.get(token_id)
        if data is None:
            data = self._bytes[token_id] = self._compute_bytes(token_id)
        return data

    def _compute_bytes(self, token_id: int) -> bytes:
        if token_id in self._added:
            text: str = self._added[token_id].content
            return text.encode()
        piece = self._pipeline.id_to_token(token_id) if token_id >= 0 else None
        if piece is None:
            return b""
        if self._byte_level:
            try:
                return bytes(_BYTE_BY_CHARACTER[character] for character in piece)
            except KeyError:  # a padding entry such as '[PAD 1]', which no text produces
                return str(piece).encode()
        if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
            return bytes([int(piece[3:5], 16)])
        return str(piece).replace("▁", " ").encode()


def _inspect_decoder(pipeline: TokenizersPipeline) -> tuple[bool, bool]:
    """(whether tokens are spelled in GPT-2's byte alphabet, whether an answer's first space is dropped)."""
    if pipeline.decoder is None:
        raise Unsupported("The model's tokenizer does not define how tokens become text.")
    state = json.loads(pipeline.decoder.__getstate__())
    parts = state["decoders"] if state["type"] == "Sequence" else [state]
    kinds = {part["type"] for part in parts}
    if "ByteLevel" in kinds:
        return True, False
    if "Metaspace" in kinds:
        return False, any(part.get("prepend_scheme", "always") != "never" for part in parts if part["type"] == "Metaspace")
    if "ByteFallback" in kinds or "Replace" in kinds:
        return False, any(part["type"] == "Strip" and part.get("start", 0) > 0 for part in parts)
    raise Unsupported(
        f"The model's tokenizer decodes by {', '.join(sorted(kinds))}, which is not supported.",
        advice="Byte-level BPE and SentencePiece tokenizers are supported.",
    )


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable stand-ins for the 256 bytes (`bytes_to_unicode` in openai/gpt-2's encoder.py), inverted."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}


_BYTE_BY_CHARACTER = _byte_alphabet()
