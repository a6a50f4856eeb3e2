"""Continuous batching: which sequences take part in the next step, and which row of the batch each one has.

Knows nothing of tensors, sampling or requests: a sequence is a list of tokens, the first `num_cached` of which are in a
key/value cache. New sequences wait in order of arrival, are prefilled in chunks outside the batch, and then decode one token
per step in a row of the batch until they finish. Rows stay dense: when one is freed, the last row moves into its place.

- A long prompt does not stall other sequences: while anything decodes, a step prefills at most `chunk_tokens`, and the
  sequences in prefill take turns, so that a short question behind a long document is served after a step or two.
- Memory is bounded: the batch is a rectangle of rows times the longest sequence, and the rectangle plus the prefills never
  exceeds `budget_tokens`. If sequences outgrow the budget, the newest goes back to the head of the queue and is recomputed
  later (preemption by recomputation, as in vLLM, arXiv 2309.06180, section 4.5).
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, TypeVar

SequencePayload = TypeVar("SequencePayload")


@dataclass(eq=False, slots=True)
class ScheduledSequence(Generic[SequencePayload]):
    """One sequence: `tokens` is the prompt and the tokens emitted so far. `payload` belongs to the engine."""

    tokens: list[int]
    payload: SequencePayload
    num_cached: int = 0
    """How many of `tokens` are in a key/value cache."""
    row: int | None = None
    arrival: int = -1

    @property
    def num_uncached(self) -> int:
        """How many tokens the model has not seen yet; 1 for a sequence that decodes."""
        return len(self.tokens) - self.num_cached


@dataclass(frozen=True, slots=True)
class PrefillChunk(Generic[SequencePayload]):
    """Tokens `start` to `stop` of a sequence that is being prefilled."""

    sequence: ScheduledSequence[SequencePayload]
    start: int
    stop: int

    @property
    def is_last(self) -> bool:
        """Whether the sequence emits a token after this chunk."""
        return self.stop == len(self.sequence.tokens)


@dataclass(frozen=True, slots=True)
class RowMove:
    """Copy row `source` of the batch over row `target`: its first `tokens` positions, or as many as it has."""

    source: int
    target: int
    tokens: int


@dataclass(frozen=True, slots=True)
class StepPlan(Generic[SequencePayload]):
    """The work of one step, in this order: `moves`, drop the caches of `preempted`, `decode`, `chunks`.

    `decode[i]` is in row i. The engine reports the outcome with `BatchScheduler.append_token`, `mark_prefilled` and `finish`,
    in the order in which it works.
    """

    moves: tuple[RowMove, ...]
    preempted: tuple[ScheduledSequence[SequencePayload], ...]
    decode: tuple[ScheduledSequence[SequencePayload], ...]
    chunks: tuple[PrefillChunk[SequencePayload], ...]

    @property
    def width(self) -> int:
        """Positions that the batch needs: the length of the longest sequence that decodes."""
        return max((len(sequence.tokens) for sequence in self.decode), default=0)


@dataclass(slots=True)
class BatchScheduler(Generic[SequencePayload]):
    """Plans steps for at most `max_rows` sequences with at most `budget_tokens` positions in all caches together.

    `chunk_tokens` is how much a step prefills while sequences decode, `idle_chunk_tokens` how much otherwise. A single sequence
    must fit the budget: the engine ensures that none grows longer than `budget_tokens`.
    """

    max_rows: int
    budget_tokens: int
    chunk_tokens: int = 64
    idle_chunk_tokens: int = 512
    waiting: deque[ScheduledSequence[SequencePayload]] = field(default_factory=deque)
    prefilling: deque[ScheduledSequence[SequencePayload]] = field(default_factory=deque)
    decoding: list[ScheduledSequence[SequencePayload]] = field(default_factory=list)
    _arrivals: int = 0

    def add(self, sequence: ScheduledSequence[SequencePayload]) -> None:
        """Queue a sequence. Raises ValueError if it can never fit the budget."""
        if len(sequence.tokens) > self.budget_tokens:
            raise ValueError(f"{len(sequence.tokens)} tokens do not fit a budget of {self.budget_tokens}")
        sequence.arrival = self._arrivals
        self._arrivals += 1
        self.waiting.append(sequence)

    def has_work(self) -> bool:
        """Whether any sequence waits, is prefilled or decodes."""
        return bool(self.waiting or self.prefilling or self.decoding)

    def plan(self) -> StepPlan[SequencePayload]:
        """The next step. All sequences that decode take part; waiting ones are admitted while rows and budget last."""
        moves, preempted = self._preempt_to_budget()
        self._admit()
        return StepPlan(tuple(moves), tuple(preempted), tuple(self.decoding), tuple(self._chunks()))

    def mark_prefilled(self, chunk: PrefillChunk[SequencePayload]) -> int | None:
        """Record that a chunk is in the sequence's cache; returns the sequence's row if its prompt is complete, else None."""
        sequence = chunk.sequence
        sequence.num_cached = chunk.stop
        if not chunk.is_last:
            return None
        self.prefilling.remove(sequence)
        sequence.row = len(self.decoding)
        self.decoding.append(sequence)
        return sequence.row

    def append_token(self, sequence: ScheduledSequence[SequencePayload], token_id: int) -> None:
        """Record that the step processed all tokens of the sequence and emitted one more."""
        sequence.num_cached = len(sequence.tokens)
        sequence.tokens.append(token_id)

    def finish(self, sequence: ScheduledSequence[SequencePayload]) -> RowMove | None:
        """Remove a sequence, wherever it is. Its row is free at once: make the returned move before anything else.

        Removing a sequence twice is harmless.
        """
        if sequence.row is not None:
            return self._free(sequence)
        if sequence in self.prefilling:
            self.prefilling.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        return None

    def _free(self, sequence: ScheduledSequence[SequencePayload]) -> RowMove | None:
        row = sequence.row
        if row is None or self.decoding[row] is not sequence:
            raise RuntimeError("a sequence is not in its row")
        last = self.decoding.pop()
        sequence.row = None
        if last is sequence:
            return None
        self.decoding[row], last.row = last, row
        return RowMove(source=len(self.decoding), target=row, tokens=len(last.tokens))

    def _used(self, *, rows: int, width: int) -> int:
        return rows * width + sum(len(sequence.tokens) for sequence in self.prefilling)

    def _preempt_to_budget(self) -> tuple[list[RowMove], list[ScheduledSequence[SequencePayload]]]:
        """Send the newest sequences back to the queue until the rest fits the budget."""
        moves, preempted = [], []
        while self._used(rows=len(self.decoding), width=self._width()) > self.budget_tokens:
            newest = max([*self.decoding, *self.prefilling], key=lambda sequence: sequence.arrival)
            move = self.finish(newest)
            moves += [] if move is None else [move]
            newest.num_cached = 0
            self.waiting.appendleft(newest)
            preempted.append(newest)
        return moves, preempted

    def _width(self) -> int:
        return max((len(sequence.tokens) for sequence in self.decoding), default=0)

    def _admit(self) -> None:
        """Strictly in order of arrival: small requests that would still fit must not starve a large one."""
        while self.waiting and len(self.decoding) + len(self.prefilling) < self.max_rows:
            first = self.waiting[0]
            rows = len(self.decoding) + len(self.prefilling) + 1
            # The rectangle that holds all sequences once all prompts are prefilled, with room for one more token each.
            longest = max(len(sequence.tokens) for sequence in [first, *self.prefilling, *self.decoding]) + 1
            alone = rows == 1
            if not alone and rows * longest > self.budget_tokens:
                return
            self.prefilling.append(self.waiting.popleft())

    def _chunks(self) -> list[PrefillChunk[SequencePayload]]:
        room = self.chunk_tokens if self.decoding else self.idle_chunk_tokens
        chunks = []
        for sequence in tuple(self.prefilling):
            if room <= 0:
                break
            stop = min(len(sequence.tokens), sequence.num_cached + room)
            chunks.append(PrefillChunk(sequence, sequence.num_cached, stop))
            room -= stop - sequence.num_cached
            # A sequence that had a turn goes to the back; one that finishes leaves the queue anyway.
            self.prefilling.rotate(-1)
        return chunks
