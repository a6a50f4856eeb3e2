"""The part of the torch engine that runs in its thread: a decoder, its key/value caches and the sequences in flight.

One step decodes a token for every row of the batch and prefills a chunk of waiting sequences (`batch_scheduler.py`). Tokens are
sampled from float32 logits together with their exact log-probabilities (`torch_sampler.py`). Sequences under different adapters
share a step: one forward pass per adapter over its own rows, by a decoder that shares the bare model's weights. A sequence
keeps its decoder until it ends, and caches are never shared, so a cache never outlives a change of adapter. Independent of
asyncio.

Shapes: B sequences, T tokens, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from yearling.errors import BadInput, NotFound, UserError
from yearling.inference.batch_scheduler import BatchScheduler, PrefillChunk, RowMove, ScheduledSequence
from yearling.inference.engine_thread import InFlightRequest
from yearling.inference.grammar import GrammarVocabulary, JsonSchemaGrammar
from yearling.inference.numpy_sampler import SamplerState
from yearling.inference.served_model import TokenizerLike
from yearling.inference.torch_sampler import sample_tokens
from yearling.inference.torch_weights import compute_logits
from yearling.models import Cache, Decoder

_HEADROOM_TOKENS = 128
"""Minimum growth of the batch's cache, in positions."""


@dataclass(eq=False, slots=True)
class TorchSequenceState:
    """The engine's data of one sequence: the request, the sampler's state, and its cache while it is prefilled."""

    in_flight: InFlightRequest
    decoder: Decoder
    state: SamplerState
    grammar: JsonSchemaGrammar | None
    cache: Cache | None = None


class TorchCore:
    """An `EngineCore` around a decoder in evaluation mode. `adapter_decoders` holds a decoder per loaded adapter, by its hash."""

    def __init__(
        self,
        decoder: Decoder,
        tokenizer: TokenizerLike,
        *,
        max_rows: int,
        context_tokens: int,
        budget_tokens: int,
    ) -> None:
        self.decoder = decoder
        self.context_tokens = context_tokens
        self.scheduler: BatchScheduler[TorchSequenceState] = BatchScheduler(max_rows=max_rows, budget_tokens=budget_tokens)
        self._tokenizer = tokenizer
        self.adapter_decoders: dict[str, Decoder] = {}
        self._vocabulary: GrammarVocabulary | None = None
        self._batch_cache: Cache | None = None
        self._sequences: dict[InFlightRequest, ScheduledSequence[TorchSequenceState]] = {}

    def add(self, in_flight: InFlightRequest) -> None:
        """Queue a request. Raises BadInput for an unknown token id, NotFound for an adapter that is not loaded, Unsupported for
        a schema that cannot be enforced.
        """
        request = in_flight.request
        if max(in_flight.prompt_ids) >= self.decoder.config.vocab_size or min(in_flight.prompt_ids) < 0:
            raise BadInput("The prompt contains a token id that the model does not have.", param="prompt_ids")
        biased = [token_id for token_id, _ in request.sampling.logit_bias]
        if biased and not 0 <= min(biased) <= max(biased) < self.decoder.config.vocab_size:
            raise BadInput("logit_bias contains a token id that the model does not have.", param="logit_bias")
        grammar = None if request.json_schema is None else self._grammars().new_grammar(request.json_schema)
        state = TorchSequenceState(in_flight, self.decoder_for(request.adapter_hash), SamplerState(request.sampling), grammar)
        sequence = ScheduledSequence(tokens=list(in_flight.prompt_ids), payload=state)
        self.scheduler.add(sequence)
        self._sequences[in_flight] = sequence

    def remove(self, in_flight: InFlightRequest) -> None:
        """Drop a request and its cache."""
        sequence = self._sequences.pop(in_flight, None)
        if sequence is not None:
            self._move(self.scheduler.finish(sequence))
            sequence.payload.cache = None

    def has_work(self) -> bool:
        """Whether any request waits or runs."""
        return self.scheduler.has_work()

    def has_idle_work(self) -> bool:
        """Never."""
        return False

    def idle_step(self) -> None:
        """Does nothing."""

    def abort_all(self) -> None:
        """Drop all requests and the cache."""
        for in_flight in list(self._sequences):
            self.remove(in_flight)
        self._batch_cache = None

    def decoder_for(self, adapter_hash: str | None) -> Decoder:
        """The decoder with that adapter, or the bare one for None. Raises NotFound."""
        if adapter_hash is None:
            return self.decoder
        if adapter_hash not in self.adapter_decoders:
            raise NotFound(f"The adapter {adapter_hash} is not loaded.", param="adapter_hash")
        return self.adapter_decoders[adapter_hash]

    @torch.inference_mode()
    def step(self) -> None:
        """Decode one token for each row of the batch and prefill some of the waiting prompts."""
        step = self.scheduler.plan()
        for move in step.moves:
            self._move(move)
        for sequence in step.preempted:
            sequence.payload.cache = None
        if step.decode:
            self._decode(step.decode, step.width)
        for chunk in step.chunks:
            self._prefill(chunk)
        if not self.scheduler.decoding:
            self._batch_cache = None

    def _grammars(self) -> GrammarVocabulary:
        if self._vocabulary is None:
            self._vocabulary = GrammarVocabulary(self._tokenizer, width=self.decoder.config.vocab_size)
        return self._vocabulary

    @torch.inference_mode()  # also between steps: the cache was written in inference mode
    def _move(self, move: RowMove | None) -> None:
        if move is not None and self._batch_cache is not None:
            self._batch_cache.copy(move.source, [move.target])

    def _decode(self, sequences: Sequence[ScheduledSequence[TorchSequenceState]], width: int) -> None:
        batch = self._ensure_cache_capacity(rows=len(sequences), width=width)
        logits_BV: Tensor | None = None
        for rows in group_rows_by_key([id(sequence.payload.decoder) for sequence in sequences]):
            decoder = sequences[rows[0]].payload.decoder
            ids_B1 = torch.tensor([[sequences[row].tokens[-1]] for row in rows])
            part_BV = compute_logits(decoder, decoder.hidden(ids_B1, cache=batch.rows(rows))[:, 0])
            if len(rows) == len(sequences):
                logits_BV = part_BV
                break
            if logits_BV is None:
                logits_BV = part_BV.new_empty(len(sequences), part_BV.shape[1])
            logits_BV[rows] = part_BV
        if logits_BV is None:
            raise RuntimeError("a decode step has no sequences")
        self._emit(sequences, logits_BV)

    def _prefill(self, chunk: PrefillChunk[TorchSequenceState]) -> None:
        sequence, state = chunk.sequence, chunk.sequence.payload
        if state.cache is None:
            state.cache = self.decoder.new_cache(num_slots=1, capacity_tokens=len(sequence.tokens))
        ids_1T = torch.tensor([sequence.tokens[chunk.start : chunk.stop]])
        hidden_1TE = state.decoder.hidden(ids_1T, cache=state.cache.rows([0]))
        row = self.scheduler.mark_prefilled(chunk)
        if row is None:
            return
        batch = self._ensure_cache_capacity(rows=row + 1, width=len(sequence.tokens) + 1)
        batch.copy_from(row, state.cache, 0)
        state.cache = None
        self._emit([sequence], compute_logits(state.decoder, hidden_1TE[:, -1]))

    def _emit(self, sequences: Sequence[ScheduledSequence[TorchSequenceState]], logits_BV: Tensor) -> None:
        """Sample a token for each row and pass it on; answers that end with it leave the batch."""
        masks: list[Tensor | None] = []
        for sequence in sequences:
            masks.append(self._allowed(sequence))
        states = [sequence.payload.state for sequence in sequences]
        tokens = sample_tokens(
            logits_BV, states, allowed=masks, num_top=[sequence.payload.in_flight.request.top_logprobs for sequence in sequences]
        )
        for sequence, token in zip(tuple(sequences), tokens, strict=True):
            self.scheduler.append_token(sequence, token.id)
        for sequence, token in zip(tuple(sequences), tokens, strict=True):
            in_flight, grammar = sequence.payload.in_flight, sequence.payload.grammar
            if not in_flight.is_finished:
                complete = grammar is not None and self._accept(in_flight, grammar, token.id)
                if not in_flight.is_finished:
                    in_flight.emit(token, last=complete)
            if in_flight.is_finished:
                self.remove(in_flight)

    def _allowed(self, sequence: ScheduledSequence[TorchSequenceState]) -> Tensor | None:
        """The tokens that the grammar allows; an answer whose grammar fails is failed alone."""
        state = sequence.payload
        if state.grammar is None:
            return None
        try:
            return state.grammar.allowed_tensor()
        except UserError as error:
            state.in_flight.fail(error)
            return None

    def _accept(self, in_flight: InFlightRequest, grammar: JsonSchemaGrammar, token_id: int) -> bool:
        try:
            return grammar.accept(token_id)
        except UserError as error:
            in_flight.fail(error)
            return False

    def _ensure_cache_capacity(self, *, rows: int, width: int) -> Cache:
        """The batch's cache, grown to hold so many rows and positions. It exceeds the scheduler's budget only if it must."""
        batch = self._batch_cache
        if batch is not None and rows <= len(batch.lengths) and width <= batch.capacity_tokens:
            return batch
        have_rows, have_width = (0, 0) if batch is None else (len(batch.lengths), batch.capacity_tokens)
        new_rows = have_rows if rows <= have_rows else min(self.scheduler.max_rows, max(rows, 2 * have_rows))
        new_width = have_width if width <= have_width else max(width + _HEADROOM_TOKENS, width * 5 // 4)
        if new_rows * new_width > self.scheduler.budget_tokens:
            new_rows, new_width = rows, width
        grown: Cache = self.decoder.new_cache(num_slots=new_rows, capacity_tokens=new_width)
        if batch is not None:
            for row in range(min(len(batch.lengths), rows)):
                grown.copy_from(row, batch, row)
        self._batch_cache = grown
        return grown


def group_rows_by_key(keys: Iterable[int]) -> list[list[int]]:
    """The rows that have the same key, in order."""
    groups: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    return list(groups.values())
