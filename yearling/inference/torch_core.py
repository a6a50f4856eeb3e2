"""The batched torch sampler: what one thread does with a decoder, its key/value caches and the sequences in flight.

One step decodes a token for every row of the batch and prefills a chunk of whoever waits (`scheduler.py`); tokens are drawn from
fp32 logits together with their exact log-probabilities (`sampler.py`). Sequences under different adapters share a step: one
forward pass per adapter, each over its own rows, by a decoder of its own that shares the bare model's weights. A sequence keeps
its decoder until it ends, and caches are never shared, so no cache outlives a change of adapter. Knows nothing of asyncio.

Shapes: B sequences, T tokens, E model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
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
"""By how much the batch's cache grows at least when it must grow."""


@dataclass(eq=False, slots=True)
class TorchSequenceState:
    """The engine's own of one sequence: where its tokens go, how they are drawn, and its cache while it is prefilled."""

    in_flight: InFlightRequest
    decoder: Decoder
    state: SamplerState
    grammar: JsonSchemaGrammar | None
    cache: Cache | None = None


class TorchCore:
    """A stepper (`stepping.py`) around a decoder in evaluation mode. `adapted` holds a decoder per loaded adapter by its hash."""

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
        request = in_flight.request
        if max(in_flight.prompt_ids) >= self.decoder.config.vocab_size or min(in_flight.prompt_ids) < 0:
            raise BadInput("The prompt holds a token id that the model does not have.", param="prompt_ids")
        biased = [token_id for token_id, _ in request.sampling.logit_bias]
        if biased and not 0 <= min(biased) <= max(biased) < self.decoder.config.vocab_size:
            raise BadInput("logit_bias names a token id that the model does not have.", param="logit_bias")
        grammar = None if request.json_schema is None else self._grammars().new_grammar(request.json_schema)
        answering = TorchSequenceState(in_flight, self.decoder_for(request.adapter_hash), SamplerState(request.sampling), grammar)
        sequence = ScheduledSequence(tokens=list(in_flight.prompt_ids), payload=answering)
        self.scheduler.add(sequence)
        self._sequences[in_flight] = sequence

    def remove(self, in_flight: InFlightRequest) -> None:
        sequence = self._sequences.pop(in_flight, None)
        if sequence is not None:
            self._move(self.scheduler.finish(sequence))
            sequence.payload.cache = None

    def has_work(self) -> bool:
        return self.scheduler.has_work()

    def abort_all(self) -> None:
        for ticket in list(self._sequences):
            self.remove(ticket)
        self._batch_cache = None

    def decoder_for(self, adapter_hash: str | None) -> Decoder:
        """The network with that adapter, or the bare one. Raises NotFound."""
        if adapter_hash is None:
            return self.decoder
        if adapter_hash not in self.adapter_decoders:
            raise NotFound(f"The adapter {adapter_hash} is not loaded.", param="adapter_hash")
        return self.adapter_decoders[adapter_hash]

    @torch.inference_mode()
    def step(self) -> None:
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

    def _move(self, move: RowMove | None) -> None:
        if move is not None and self._batch_cache is not None:
            self._batch_cache.copy(move.source, [move.target])

    def _decode(self, sequences: SequenceOf[ScheduledSequence[TorchSequenceState]], width: int) -> None:
        batch = self._ensure_cache_capacity(rows=len(sequences), width=width)
        logits_BV: Tensor | None = None
        for rows in group_rows_by_key([id(one.payload.decoder) for one in sequences]):
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
            raise RuntimeError("a decode step without sequences")
        self._emit(sequences, logits_BV)

    def _prefill(self, chunk: PrefillChunk[TorchSequenceState]) -> None:
        sequence, answering = chunk.sequence, chunk.sequence.payload
        if answering.cache is None:
            answering.cache = self.decoder.new_cache(num_slots=1, capacity_tokens=len(sequence.tokens))
        ids_1T = torch.tensor([sequence.tokens[chunk.start : chunk.stop]])
        hidden_1TE = answering.decoder.hidden(ids_1T, cache=answering.cache.rows([0]))
        row = self.scheduler.mark_prefilled(chunk)
        if row is None:
            return
        batch = self._ensure_cache_capacity(rows=row + 1, width=len(sequence.tokens) + 1)
        batch.copy_from(row, answering.cache, 0)
        answering.cache = None
        self._emit([sequence], compute_logits(answering.decoder, hidden_1TE[:, -1]))

    def _emit(self, sequences: SequenceOf[ScheduledSequence[TorchSequenceState]], logits_BV: Tensor) -> None:
        """Draw a token for each row and pass it on; answers that end with it leave the batch."""
        masks: list[Tensor | None] = []
        for sequence in sequences:
            masks.append(self._allowed(sequence))
        states = [sequence.payload.state for sequence in sequences]
        drawn = sample_tokens(
            logits_BV, states, allowed=masks, num_top=[sequence.payload.in_flight.request.top_logprobs for sequence in sequences]
        )
        for sequence, one in zip(tuple(sequences), drawn, strict=True):
            self.scheduler.append_token(sequence, one.id)
        for sequence, one in zip(tuple(sequences), drawn, strict=True):
            ticket, grammar = sequence.payload.in_flight, sequence.payload.grammar
            if not ticket.is_finished:
                complete = grammar is not None and self._accept(ticket, grammar, one.id)
                if not ticket.is_finished:
                    ticket.emit(one, last=complete)
            if ticket.is_finished:
                self.remove(ticket)

    def _allowed(self, sequence: ScheduledSequence[TorchSequenceState]) -> Tensor | None:
        """What the grammar permits next; an answer whose grammar gave up fails alone."""
        answering = sequence.payload
        if answering.grammar is None:
            return None
        try:
            return answering.grammar.allowed_tensor()
        except UserError as error:
            answering.in_flight.fail(error)
            return None

    def _accept(self, ticket: InFlightRequest, grammar: JsonSchemaGrammar, token_id: int) -> bool:
        try:
            return grammar.accept(token_id)
        except UserError as error:
            ticket.fail(error)
            return False

    def _ensure_cache_capacity(self, *, rows: int, width: int) -> Cache:
        """The batch's cache, grown to hold so many rows and positions; never past the scheduler's budget without need."""
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
    found: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        found.setdefault(key, []).append(row)
    return list(found.values())
