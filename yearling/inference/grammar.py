"""JSON schemas as constraints on the next token, for engines that sample in this process (with llguidance).

A grammar reports which tokens may come next and is advanced by the token that was sampled; it knows nothing of sampling. The
output is a valid instance of the schema to the last byte, unless the answer is cut off by its length.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import llguidance
import numpy as np
import numpy.typing as npt

from yearling.errors import Unsupported
from yearling.inference.served_model import TokenizerLike
from yearling.schema_limits import measure_schema

if TYPE_CHECKING:
    from torch import Tensor


class GrammarVocabulary:
    """A model's tokens in the form that llguidance needs; built once per model. `V` is the width of the logits, padding
    included.
    """

    def __init__(self, tokenizer: TokenizerLike, *, width: int) -> None:
        if not tokenizer.stop_ids:
            raise Unsupported("The model has no end-of-turn token, so its output cannot be constrained to a JSON schema.")
        self.width = width
        self.stop_ids = tokenizer.stop_ids
        self._tokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_LLGuidanceTokenizer(tokenizer, width)), eos_token=sorted(tokenizer.stop_ids)
        )

    def new_grammar(self, schema: dict[str, object]) -> JsonSchemaGrammar:
        """A new constraint. Raises BadInput for a schema above a limit, Unsupported if it cannot be guaranteed."""
        return JsonSchemaGrammar(self, schema)


class JsonSchemaGrammar:
    """The progress of one answer through its schema."""

    def __init__(self, vocabulary: GrammarVocabulary, schema: dict[str, object]) -> None:
        measure_schema(schema, param="response_format")
        self._vocabulary = vocabulary
        try:
            source = llguidance.LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False})
        except ValueError as error:
            raise Unsupported(f"The JSON schema cannot be used: {error}", param="response_format") from None
        self._matcher = llguidance.LLMatcher(vocabulary._tokenizer, source, log_level=0)
        if self._matcher.is_error():
            reason = " ".join(self._matcher.get_error().split())
            raise Unsupported(f"The JSON schema cannot be enforced: {reason}", param="response_format")

    def allowed_tensor(self) -> Tensor:
        """The tokens that may come next, as a boolean mask (V,). Raises Unsupported if the schema becomes too complex
        to track.
        """
        import torch

        return torch.from_numpy(self.allowed_mask())

    def allowed_mask(self) -> npt.NDArray[np.bool_]:
        """The same mask as a numpy array, for engines without torch."""
        mask = np.unpackbits(np.frombuffer(self._matcher.compute_bitmask(), np.uint8), bitorder="little")
        self._check()
        allowed_V = np.zeros(self._vocabulary.width, np.bool_)
        count = min(len(mask), self._vocabulary.width)
        allowed_V[:count] = mask[:count]
        return allowed_V

    def accept(self, token_id: int) -> bool:
        """Advance by the sampled token; returns whether the answer is complete and only its end may follow."""
        if token_id not in self._vocabulary.stop_ids:
            self._matcher.consume_token(token_id)
            self._check()
        return bool(self._matcher.is_stopped())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise Unsupported(f"The JSON schema became too complex: {self._matcher.get_error()}", param="response_format")


class _LLGuidanceTokenizer:
    """The tokenizer in the form that `llguidance.TokenizerWrapper` reads: attributes, and a call that encodes text."""

    def __init__(self, tokenizer: TokenizerLike, width: int) -> None:
        self._tokenizer = tokenizer
        # Two tokens, because some tokenizers drop the space at the start of a text.
        self.special_token_ids = [
            token for token in range(min(width, tokenizer.vocab_size)) if not tokenizer.decode([token, token])
        ]
        self.eos_token_id = min(tokenizer.stop_ids)
        self.bos_token_id = tokenizer.bos_id
        # Logits may be wider than the vocabulary; an entry without bytes is never allowed.
        self.tokens = [tokenizer.token_bytes(token) if token < tokenizer.vocab_size else b"" for token in range(width)]

    def __call__(self, text: str | bytes) -> Sequence[int]:
        return self._tokenizer.encode(text.decode(errors="replace") if isinstance(text, bytes) else text)
