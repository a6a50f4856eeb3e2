"""The part of the llama.cpp engine that runs in its thread: batches, KV cells, adapters and sampling.

One step decodes a token for every running answer and prefills a chunk of each new one, in one pass over the weights per adapter
in use. While answers run, a step prefills only a little, so that their tokens keep coming; an idle engine prefills in larger
chunks. If cells run out, cached conversations are dropped first; then the newest answer goes back to the queue and is
recomputed later. Cells in use are never overwritten. Independent of asyncio.

A request that runs alone is computed in exactly one way, whatever was cached before it (`cache_slots.py`). For that, the cache is
emptied of everything else: what it held is copied to memory outside it, and back when it is asked for again. The tokens of its
answer, which were computed one by one, are computed again in chunks while the engine is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from yearling.errors import BadInput, ContextLengthExceeded, NotFound, Unavailable, Untrusted, UserError
from yearling.inference.cache_slots import GRID_TOKENS, CacheSlot, SavedPrefix, SavedPrefixes, SlotScheduler, SlottedSequence
from yearling.inference.engine import Token
from yearling.inference.engine_thread import InFlightRequest
from yearling.inference.llamacpp_ctypes import LlamaContext, LlamaModel
from yearling.inference.numpy_sampler import SamplerState, TokenMask, sample_token, scored_token
from yearling.models import adapter_fit

CHUNK_TOKENS = 32
"""Prefill tokens per step and new sequence while answers run; it bounds how long the readers of those answers wait.

Measured beside one stream on two busy cores, prompt tokens per second and gap: 16: 62, 258 ms; 32: 64, 504 ms; 64: 66, 970 ms;
128: 74, 1,727 ms. The gap halves with the chunk, while the rate hardly changes.
"""

IDLE_CHUNK_TOKENS = GRID_TOKENS
"""Prefill tokens per step while no answer runs."""
SCORE_CHUNK_TOKENS = 64
"""Rows with output in one step; each takes a row of logits."""


class TokenConstraint(Protocol):
    """The interface of a grammar."""

    def allowed_mask(self) -> TokenMask:
        """The tokens that may come next, (V,)."""
        ...

    def accept(self, token_id: int) -> bool:
        """Advance by the sampled token; returns whether the answer is complete."""
        ...


@dataclass(eq=False, slots=True)
class LlamaCppSequenceState:
    """The engine's data of one sequence: the request, the sampler's state and the grammar."""

    in_flight: InFlightRequest
    state: SamplerState
    constraint: TokenConstraint | None


class LlamaCppCore:
    """An `EngineCore` around one llama.cpp context. `constrain` makes a new constraint from a JSON schema."""

    def __init__(
        self,
        model: LlamaModel,
        *,
        max_sequences: int,
        context_tokens: int,
        cells: int,
        threads: int,
        constrain: Callable[[dict[str, object]], TokenConstraint],
        saved_bytes: int = 0,
    ) -> None:
        """`saved_bytes` is the most memory for cached conversations outside the cache."""
        self._model = model
        self._constrain = constrain
        self._context_tokens = context_tokens
        self._slots: SlotScheduler[LlamaCppSequenceState] = SlotScheduler(count=max_sequences, cells=cells)
        self._sequences: dict[InFlightRequest, SlottedSequence[LlamaCppSequenceState]] = {}
        self._adapters: dict[str, int] = {}
        self._unloading: set[str] = set()
        self._saved = SavedPrefixes(saved_bytes)
        self._alone: SlottedSequence[LlamaCppSequenceState] | None = None
        """The running sequence that has had the cache to itself so far."""
        self._unsettled: tuple[CacheSlot, list[int]] | None = None
        """The slot of the last answer that ran alone, and all its tokens, if not all whole chunks of them are repeatable."""
        self._is_scoring = False
        """Whether a text that is being scored or embedded has tokens in the cache."""
        # One more sequence id than slots, for scoring and embedding.
        self._scoring_sequence_id = max_sequences
        self._context: LlamaContext = model.context(
            cells=cells, sequences=max_sequences + 1, batch_tokens=IDLE_CHUNK_TOKENS + max_sequences, threads=threads
        )

    @property
    def running(self) -> int:
        """Number of running answers."""
        return len(self._slots.running)

    def add(self, in_flight: InFlightRequest) -> None:
        """Queue a request. Raises BadInput for an unknown token id, NotFound for an adapter that is not loaded, Unsupported for
        a schema that cannot be enforced.
        """
        request = in_flight.request
        self._check_ids(in_flight.prompt_ids)
        if any(not 0 <= token < self._model.vocab_size for token, _ in request.sampling.logit_bias):
            raise BadInput("logit_bias contains a token id that the model does not have.", param="logit_bias")
        self._adapter_handle(request.adapter_hash)
        constraint = None if request.json_schema is None else self._constrain(request.json_schema)
        state = LlamaCppSequenceState(in_flight, SamplerState(request.sampling), constraint)
        sequence = SlottedSequence(tokens=list(in_flight.prompt_ids), adapter=request.adapter_hash, payload=state)
        self._sequences[in_flight] = sequence
        self._slots.add(sequence)

    def remove(self, in_flight: InFlightRequest) -> None:
        """Drop a request; its slot keeps its tokens."""
        sequence = self._sequences.pop(in_flight, None)
        if sequence is not None:
            slot = sequence.slot
            self._slots.finish(sequence)
            if sequence is self._alone:
                self._alone = None
                if slot is not None and slot.num_repeatable + GRID_TOKENS <= len(slot.tokens):
                    self._unsettled = slot, list(slot.tokens)
            self._free_unloading_adapters()

    def has_work(self) -> bool:
        """Whether any request waits or runs."""
        return bool(self._sequences)

    def abort_all(self) -> None:
        """Drop all requests and clear the cache."""
        for in_flight in list(self._sequences):
            self.remove(in_flight)
        for slot in self._slots.slots:
            self._slots.empty(slot)
        self._alone = self._unsettled = None
        self._context.clear()

    def has_idle_work(self) -> bool:
        """Whether chunks of the last conversation can be made repeatable, so that its next turn need not compute them."""
        return self._unsettled is not None and not self._is_scoring

    def idle_step(self) -> None:
        """Compute the next whole chunk of the last conversation again, as its next turn would."""
        if self._unsettled is None:
            raise RuntimeError("there is no idle work")
        slot, tokens = self._unsettled
        self._unsettled = None
        start = slot.num_repeatable
        stop = start + GRID_TOKENS
        if not self._context.remove_tokens(slot.number, start):
            return
        del slot.tokens[start:]
        slot.chunk_starts = [*(chunk for chunk in slot.chunk_starts if chunk < start), start]
        self._context.set_adapter(self._adapter_handle(slot.adapter, leaving=True))
        if not self._context.decode([(tokens[at], at, slot.number, False) for at in range(start, stop)]):
            raise RuntimeError("a chunk that was in the KV cache does not fit it")
        slot.tokens += tokens[start:stop]
        slot.num_repeatable = stop
        if stop + GRID_TOKENS <= len(tokens):
            self._unsettled = slot, tokens

    def step(self) -> None:
        """Compute one token for each running answer and a chunk of each new one."""
        self._unsettled = None
        if not self._is_scoring and (sequence := self._slots.take_single()) is not None:
            self._start_alone(sequence)
        for assignment in self._slots.assign_waiting():
            self._alone = None
            if assignment.prefix_source is not None:
                self._context.remove_tokens(assignment.slot.number)
                self._context.copy_prefix(assignment.prefix_source.number, assignment.slot.number, assignment.num_kept)
            elif not self._context.remove_tokens(assignment.slot.number, assignment.num_kept):
                # A cache that cannot be cut (sliding window) is recomputed.
                self._context.remove_tokens(assignment.slot.number)
                self._slots.empty(assignment.slot)
            self._restore_longer_prefix(assignment.slot)
        chunks = self._plan()
        for adapter in dict.fromkeys(sequence.adapter for sequence in chunks):
            self._run_pass(adapter, {sequence: count for sequence, count in chunks.items() if sequence.adapter == adapter})

    def _start_alone(self, sequence: SlottedSequence[LlamaCppSequenceState]) -> None:
        """Run a sequence alone, after the longest repeatable prefix that is known."""
        tokens, adapter = sequence.tokens, sequence.adapter
        held = [slot for slot in self._slots.slots if slot.tokens]
        # Tokens that lie in the first cells of an otherwise empty cache stay where they are.
        resident = held[0] if len(held) == 1 and held[0].num_repeatable else None
        num_kept = resident.repeatable_prefix_length(tokens, adapter) if resident else 0
        saved = self._saved.find(tokens, adapter, alone=True)
        if resident is not None and num_kept and (saved is None or saved[1] <= num_kept):
            if 2 * num_kept < resident.num_repeatable:
                self._save(resident)
            slot = resident
        else:
            self._vacate()
            slot, num_kept = self._slots.slots[0], 0
            if saved is not None and self._context.restore(slot.number, saved[0].data):
                slot.tokens, num_kept = list(saved[0].tokens), saved[1]
        if not self._context.remove_tokens(slot.number, num_kept):
            # A cache that cannot be cut (sliding window) is recomputed.
            self._context.clear()
            num_kept = 0
        self._slots.assign_single(sequence, slot, num_kept)
        self._alone = sequence

    def _vacate(self) -> None:
        """Empty the cache. What it held is saved outside it, as far as there is room."""
        for slot in self._slots.slots:
            if slot.tokens:
                self._save(slot)
                self._slots.empty(slot)
        self._context.clear()

    def _save(self, slot: CacheSlot) -> None:
        if len(slot.tokens) >= GRID_TOKENS and self._saved.accepts(self._context.saved_size(slot.number)):
            data = self._context.save(slot.number)
            self._saved.add(SavedPrefix(tuple(slot.tokens), slot.adapter, slot.num_repeatable, data))

    def _restore_longer_prefix(self, slot: CacheSlot) -> None:
        """Continue after a saved prefix, if that saves a chunk or more, for a sequence that runs beside others."""
        sequence = next(sequence for sequence in self._slots.running if sequence.slot is slot)
        saved = self._saved.find(sequence.tokens, sequence.adapter, alone=False)
        if saved is None or saved[1] < len(slot.tokens) + GRID_TOKENS:
            return
        self._slots.empty(slot)
        if self._context.restore(slot.number, saved[0].data) and self._context.remove_tokens(slot.number, saved[1]):
            slot.tokens = list(saved[0].tokens[: saved[1]])
        else:
            self._context.remove_tokens(slot.number)

    def _plan(self) -> dict[SlottedSequence[LlamaCppSequenceState], int]:
        """How many tokens of each running sequence to compute: one for each that decodes, a chunk for those in prefill."""
        chunks = {sequence: 1 for sequence in self._slots.running if sequence.num_uncached == 1}
        # The shortest prefill goes first: a short question does not wait behind a long document.
        in_prefill = [sequence for sequence in self._slots.running if sequence.num_uncached > 1]
        in_prefill.sort(key=lambda sequence: sequence.num_uncached)
        # The more sequences wait for their first token, the larger the step: otherwise the others would end before these begin.
        num_left = min(CHUNK_TOKENS * len(in_prefill), IDLE_CHUNK_TOKENS) if chunks else IDLE_CHUNK_TOKENS
        for sequence in in_prefill:
            if num_left <= 0:
                break
            # Chunks end on a grid, so that a prefix is computed in the same rows whatever follows it.
            num_to_grid = IDLE_CHUNK_TOKENS - len(_slot(sequence).tokens) % IDLE_CHUNK_TOKENS
            chunks[sequence] = min(num_left, sequence.num_uncached, num_to_grid)
            num_left -= chunks[sequence]
        return chunks

    def _run_pass(self, adapter: str | None, chunks: dict[SlottedSequence[LlamaCppSequenceState], int]) -> None:
        """One pass over the weights; samples a token for every sequence whose last token took part."""
        rows: list[tuple[int, int, int, bool]] = []
        outputs: list[tuple[SlottedSequence[LlamaCppSequenceState], int]] = []
        for sequence, count in chunks.items():
            slot = _slot(sequence)
            start = len(slot.tokens)
            for at in range(start, start + count):
                rows.append((sequence.tokens[at], at, slot.number, at == len(sequence.tokens) - 1))
            if count == sequence.num_uncached:
                outputs.append((sequence, len(rows) - 1))
        self._context.set_adapter(self._adapter_handle(adapter, leaving=True))
        if not self._context.decode(rows):
            self._free_cells()
            return
        for sequence, count in chunks.items():
            slot = _slot(sequence)
            start = len(slot.tokens)
            if start % IDLE_CHUNK_TOKENS == 0 or (count > 1 and len(chunks) == 1):
                slot.chunk_starts.append(start)
            if sequence is self._alone and start == slot.num_repeatable and count == GRID_TOKENS:
                slot.num_repeatable += count
            slot.tokens += sequence.tokens[start : start + count]
        for sequence, row in outputs:
            self._emit(sequence, row)

    def _free_cells(self) -> None:
        """Free cells for the next attempt. Raises RuntimeError if a single sequence does not fit."""
        slot = self._slots.evict() or self._slots.preempt()
        if slot is None:
            raise RuntimeError("a single sequence does not fit the KV cache")
        self._alone = None
        self._context.remove_tokens(slot.number)

    def _emit(self, sequence: SlottedSequence[LlamaCppSequenceState], row: int) -> None:
        state = sequence.payload
        in_flight = state.in_flight
        try:
            constraint = state.constraint
            allowed = None if constraint is None else constraint.allowed_mask()
            token = sample_token(
                self._context.logits(row), state.state, allowed_V=allowed, num_top=in_flight.request.top_logprobs
            )
            complete = constraint is not None and constraint.accept(token.id)
        except UserError as error:
            in_flight.fail(error)
        else:
            sequence.tokens.append(token.id)
            in_flight.emit(token, last=complete)
        if in_flight.is_finished:
            self.remove(in_flight)

    def score_chunk(
        self, tokens: Sequence[int], start: int, first: int, adapter: str | None, num_top: int = 0
    ) -> tuple[int, list[Token]]:
        """Score the next chunk of a text from `start`: log-probabilities of `tokens[i]` for i > `first`.

        Returns where the next chunk begins, and the scores. Raises BadInput, ContextLengthExceeded and Unavailable.
        """
        if start == 0:
            self._check_ids(tokens)
            if len(tokens) > self._context_tokens:
                raise ContextLengthExceeded(
                    f"The text has {len(tokens)} tokens. The context of this model holds {self._context_tokens}."
                )
        stop = min(len(tokens) - 1, start + (IDLE_CHUNK_TOKENS if start + IDLE_CHUNK_TOKENS <= first else SCORE_CHUNK_TOKENS))
        rows = [(tokens[at], at, self._scoring_sequence_id, at >= first) for at in range(start, stop)]
        self._context.set_adapter(self._adapter_handle(adapter))
        self._decode_scoring_rows(rows)
        scores = [
            scored_token(self._context.logits(at - start), tokens[at + 1], num_top) for at in range(max(start, first), stop)
        ]
        if stop == len(tokens) - 1:
            self._context.remove_tokens(self._scoring_sequence_id)
        return stop, scores

    def embed_chunk(self, tokens: Sequence[int], start: int) -> tuple[int, npt.NDArray[np.float64]]:
        """The sum of the last hidden states (H,) of the next chunk from `start`; returns where the next chunk begins, and the
        sum.

        Raises BadInput, ContextLengthExceeded and Unavailable.
        """
        if start == 0:
            self._check_ids(tokens)
            if len(tokens) > self._context_tokens:
                raise ContextLengthExceeded(
                    f"The text has {len(tokens)} tokens. The context of this model holds {self._context_tokens}."
                )
        stop = min(len(tokens), start + SCORE_CHUNK_TOKENS)
        self._context.set_adapter(None)
        self._context.set_embeddings(True)
        try:
            self._decode_scoring_rows([(tokens[at], at, self._scoring_sequence_id, True) for at in range(start, stop)])
            total = sum(self._context.hidden_state(row).astype(np.float64) for row in range(stop - start))
        finally:
            self._context.set_embeddings(False)
        if stop == len(tokens):
            self._context.remove_tokens(self._scoring_sequence_id)
        return stop, np.asarray(total)

    def clear_scoring_sequence(self) -> None:
        """Free the cells of `score_chunk` and `embed_chunk`, whether they came to the end of their text or not."""
        self._is_scoring = False
        self._context.remove_tokens(self._scoring_sequence_id)

    def _decode_scoring_rows(self, rows: list[tuple[int, int, int, bool]]) -> None:
        # The rows take cells, so that a running sequence is no longer alone. Without one, the text has the cache to itself.
        self._alone = self._unsettled = None
        if not self._is_scoring and not self._slots.running:
            self._vacate()
        self._is_scoring = True
        while rows and not self._context.decode(rows):
            try:
                self._free_cells()
            except RuntimeError:
                raise Unavailable("The KV cache is full.", advice="Try again when fewer requests are running.") from None

    def load_adapter(self, path: Path, adapter_hash: str, *, model_hash: str, source_hash: str = "") -> None:
        """Load an adapter file under its hash; does nothing if it is loaded.

        Raises Untrusted if the file does not fit the model or does not name this model as its base: either the weights in use,
        or, if `source_hash` is given, another layout of the published file that they came from.
        """
        self._unloading.discard(adapter_hash)
        if adapter_hash in self._adapters:
            return
        handle = self._model.load_adapter(path)
        base = self._model.adapter_metadata(handle, "yearling.base_sha256")
        source = self._model.adapter_metadata(handle, "yearling.base_source_sha256")
        if not adapter_fit(base, source, model_sha256=model_hash, source_sha256=source_hash):
            self._model.free_adapter(handle)
            made_for = f"another base model ({base[:12]}…)" if base else "an unnamed base model"
            raise Untrusted(
                f"The adapter {path.name} was made for {made_for}.", advice=f"The model in use is {model_hash[:12]}…."
            )
        self._adapters[adapter_hash] = handle

    def unload_adapter(self, adapter_hash: str) -> None:
        """Refuse the adapter to new requests; free it when the last running one has ended."""
        if adapter_hash in self._adapters:
            self._unsettled = None
            self._unloading.add(adapter_hash)
            self._free_unloading_adapters()

    def close(self) -> None:
        """Free the context and the weights."""
        self._context.close()
        self._model.close()

    def _free_unloading_adapters(self) -> None:
        busy = {sequence.adapter for sequence in self._sequences.values()}
        for adapter_hash in self._unloading - busy:
            self._unloading.discard(adapter_hash)
            for slot in self._slots.slots:
                if slot.adapter == adapter_hash:
                    self._context.remove_tokens(slot.number)
                    self._slots.empty(slot)
            self._saved.drop_adapter(adapter_hash)
            self._context.set_adapter(None)
            self._model.free_adapter(self._adapters.pop(adapter_hash))

    def _adapter_handle(self, adapter_hash: str | None, *, leaving: bool = False) -> int | None:
        if adapter_hash is None:
            return None
        if adapter_hash not in self._adapters or (adapter_hash in self._unloading and not leaving):
            raise NotFound(f"The adapter {adapter_hash} is not loaded.", advice="Load it first.", param="adapter_hash")
        return self._adapters[adapter_hash]

    def _check_ids(self, tokens: Sequence[int]) -> None:
        if min(tokens) < 0 or max(tokens) >= self._model.vocab_size:
            raise BadInput("The prompt contains a token id that the model does not have.", param="prompt_ids")


def _slot(sequence: SlottedSequence[LlamaCppSequenceState]) -> CacheSlot:
    if sequence.slot is None:
        raise RuntimeError("a running sequence has no slot")
    return sequence.slot
