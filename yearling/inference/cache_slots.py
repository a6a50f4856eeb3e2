"""Which sequences of a shared KV cache run, which wait, and whose cached beginnings can be used again. Pure bookkeeping.

A slot is one sequence id of the cache. It keeps what it computed after its answer has ended, until somebody needs the slot or
its cells, so that the next turn of a conversation prefills its new part only. Beginnings are shared between slots without
copying. A cached beginning is cut where a prefill chunk began, never inside one: kernels give slightly different results for
different numbers of rows, and so a request that is repeated at once is computed, and answered, exactly as before. (Not for
ever: where others left holes among the cells, sums are taken in another order and differ in their last bits.)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Payload = TypeVar("Payload")


@dataclass(eq=False, slots=True)
class CacheSlot:
    """What one sequence id of the cache holds: `tokens`, computed with `adapter`, in chunks that began at `starts`."""

    number: int
    tokens: list[int] = field(default_factory=list)
    chunk_starts: list[int] = field(default_factory=list)
    adapter: str | None = None
    last_used_tick: int = 0
    is_running: bool = False

    def reusable_prefix_length(self, tokens: list[int], adapter: str | None) -> int:
        """How many of the first `tokens` are here and can be used again; at least one is always left to compute."""
        if adapter != self.adapter:
            return 0
        common = 0
        for mine, theirs in zip(self.tokens, tokens[:-1], strict=False):
            if mine != theirs:
                break
            common += 1
        if common == len(self.tokens):
            return common
        return max((start for start in self.chunk_starts if start <= common), default=0)


@dataclass(eq=False, slots=True)
class SlottedSequence(Generic[Payload]):
    """One request's tokens, prompt and answer. Its slot holds the first of them; `left` have not been computed yet."""

    tokens: list[int]
    adapter: str | None
    payload: Payload
    arrival: int = -1
    slot: CacheSlot | None = None

    @property
    def num_uncached(self) -> int:
        return len(self.tokens) - (len(self.slot.tokens) if self.slot else 0)


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """A sequence got its slot: drop the slot's cells from `keep` on, after sharing `keep` tokens from `source` if it is given."""

    slot: CacheSlot
    num_kept: int
    prefix_source: CacheSlot | None


class SlotScheduler(Generic[Payload]):
    """`count` slots over `cells` tokens of cache. First come, first served; the newest gives way when cells run out."""

    def __init__(self, *, count: int, cells: int) -> None:
        self.slots = [CacheSlot(number) for number in range(count)]
        self.waiting: deque[SlottedSequence[Payload]] = deque()
        self.running: list[SlottedSequence[Payload]] = []
        self._cells = cells
        self._clock = 0

    def add(self, sequence: SlottedSequence[Payload]) -> None:
        sequence.arrival = self._tick()
        self.waiting.append(sequence)

    def assign_waiting(self) -> Iterator[SlotAssignment]:
        """Give waiting sequences their slots, in order of arrival, while slots and cells last."""
        while self.waiting:
            idle = [slot for slot in self.slots if not slot.is_running]
            needed = sum(len(sequence.tokens) + 1 for sequence in self.running) + len(self.waiting[0].tokens) + 1
            if not idle or (self.running and needed > self._cells):
                return
            sequence = self.waiting.popleft()
            yield self._assign_slot(sequence, idle)

    def _assign_slot(self, sequence: SlottedSequence[Payload], idle: list[CacheSlot]) -> SlotAssignment:
        best = max(self.slots, key=lambda slot: slot.reusable_prefix_length(sequence.tokens, sequence.adapter))
        keep = best.reusable_prefix_length(sequence.tokens, sequence.adapter)
        if not best.is_running and 2 * keep >= len(best.tokens):
            target, source = best, None
        else:
            # The best beginning belongs to somebody else's conversation: share it, and take the slot that rested longest.
            target = min(idle, key=lambda slot: (slot is best, bool(slot.tokens), slot.last_used_tick))
            source = best if keep and target is not best else None
        if source is not None:
            target.tokens, target.chunk_starts = source.tokens[:keep], [start for start in source.chunk_starts if start < keep]
        else:
            del target.tokens[keep:]
            target.chunk_starts = [start for start in target.chunk_starts if start < keep]
        target.adapter, target.is_running, target.last_used_tick = sequence.adapter, True, self._tick()
        sequence.slot = target
        self.running.append(sequence)
        return SlotAssignment(target, keep, source)

    def finish(self, sequence: SlottedSequence[Payload]) -> None:
        """Take a sequence out, running or waiting; harmless when it is out already. Its slot keeps what it holds."""
        if sequence in self.waiting:
            self.waiting.remove(sequence)
        if sequence in self.running:
            self.running.remove(sequence)
            if sequence.slot is not None:
                sequence.slot.is_running, sequence.slot.last_used_tick = False, self._tick()
            sequence.slot = None

    def evict(self) -> CacheSlot | None:
        """Empty the idle slot that rested longest; None when no idle slot holds anything."""
        held = [slot for slot in self.slots if slot.tokens and not slot.is_running]
        if not held:
            return None
        oldest = min(held, key=lambda slot: slot.last_used_tick)
        self.empty(oldest)
        return oldest

    def preempt(self) -> CacheSlot | None:
        """Send the newest running sequence back to the head of the queue; None when only one is running."""
        if len(self.running) < 2:
            return None
        newest = max(self.running, key=lambda sequence: sequence.arrival)
        slot = newest.slot
        if slot is None:
            raise RuntimeError("a running sequence has no slot")
        self.finish(newest)
        self.empty(slot)
        self.waiting.appendleft(newest)
        return slot

    def empty(self, slot: CacheSlot) -> None:
        slot.tokens, slot.chunk_starts = [], []

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
