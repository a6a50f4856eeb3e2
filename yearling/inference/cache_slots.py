"""Slots of a shared KV cache: which sequences run, which wait, and which cached prefixes can be reused. Pure bookkeeping.

A slot is one sequence id of the cache. It keeps its tokens after its answer has ended, until another sequence needs the slot or
its cells, so that the next turn of a conversation prefills its new part only. Slots share prefixes without copying.

A cached prefix is cut where a prefill chunk began, never inside a chunk: kernels give slightly different results for different
numbers of rows, so a request that is repeated at once is computed, and answered, exactly as before. Later repeats may differ in
the last bits, because holes among the cells change the order of sums.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

SlotPayload = TypeVar("SlotPayload")


@dataclass(eq=False, slots=True)
class CacheSlot:
    """The contents of one sequence id: `tokens`, computed with `adapter`, in chunks that began at `chunk_starts`."""

    number: int
    tokens: list[int] = field(default_factory=list)
    chunk_starts: list[int] = field(default_factory=list)
    adapter: str | None = None
    last_used_tick: int = 0
    is_running: bool = False

    def reusable_prefix_length(self, tokens: list[int], adapter: str | None) -> int:
        """How many of the first `tokens` are cached here and reusable; at least one token is always left to compute."""
        if adapter != self.adapter:
            return 0
        common = 0
        for cached, wanted in zip(self.tokens, tokens[:-1], strict=False):
            if cached != wanted:
                break
            common += 1
        if common == len(self.tokens):
            return common
        return max((start for start in self.chunk_starts if start <= common), default=0)


@dataclass(eq=False, slots=True)
class SlottedSequence(Generic[SlotPayload]):
    """The tokens of one request, prompt and answer. Its slot holds the first of them; `num_uncached` are not computed yet."""

    tokens: list[int]
    adapter: str | None
    payload: SlotPayload
    arrival: int = -1
    slot: CacheSlot | None = None

    @property
    def num_uncached(self) -> int:
        """How many tokens are not computed yet."""
        return len(self.tokens) - (len(self.slot.tokens) if self.slot else 0)


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """A sequence was given `slot`: first share `num_kept` tokens from `prefix_source` if there is one, then drop the cells
    after `num_kept`.
    """

    slot: CacheSlot
    num_kept: int
    prefix_source: CacheSlot | None


class SlotScheduler(Generic[SlotPayload]):
    """`count` slots over `cells` tokens of cache. First come, first served; the newest sequence is preempted if cells run out."""

    def __init__(self, *, count: int, cells: int) -> None:
        self.slots = [CacheSlot(number) for number in range(count)]
        self.waiting: deque[SlottedSequence[SlotPayload]] = deque()
        self.running: list[SlottedSequence[SlotPayload]] = []
        self._cells = cells
        self._clock = 0

    def add(self, sequence: SlottedSequence[SlotPayload]) -> None:
        """Queue a sequence."""
        sequence.arrival = self._tick()
        self.waiting.append(sequence)

    def assign_waiting(self) -> Iterator[SlotAssignment]:
        """Give slots to waiting sequences, in order of arrival, while slots and cells last."""
        while self.waiting:
            idle = [slot for slot in self.slots if not slot.is_running]
            needed = sum(len(sequence.tokens) + 1 for sequence in self.running) + len(self.waiting[0].tokens) + 1
            if not idle or (self.running and needed > self._cells):
                return
            sequence = self.waiting.popleft()
            yield self._assign_slot(sequence, idle)

    def _assign_slot(self, sequence: SlottedSequence[SlotPayload], idle: list[CacheSlot]) -> SlotAssignment:
        best = max(self.slots, key=lambda slot: slot.reusable_prefix_length(sequence.tokens, sequence.adapter))
        num_kept = best.reusable_prefix_length(sequence.tokens, sequence.adapter)
        if not best.is_running and 2 * num_kept >= len(best.tokens):
            target, source = best, None
        else:
            # The best prefix belongs to another conversation: share it, and take the slot that was idle longest.
            target = min(idle, key=lambda slot: (slot is best, bool(slot.tokens), slot.last_used_tick))
            source = best if num_kept and target is not best else None
        if source is not None:
            target.tokens, target.chunk_starts = (
                source.tokens[:num_kept],
                [start for start in source.chunk_starts if start < num_kept],
            )
        else:
            del target.tokens[num_kept:]
            target.chunk_starts = [start for start in target.chunk_starts if start < num_kept]
        target.adapter, target.is_running, target.last_used_tick = sequence.adapter, True, self._tick()
        sequence.slot = target
        self.running.append(sequence)
        return SlotAssignment(target, num_kept, source)

    def finish(self, sequence: SlottedSequence[SlotPayload]) -> None:
        """Remove a sequence, running or waiting; harmless if it was removed already. Its slot keeps its tokens."""
        if sequence in self.waiting:
            self.waiting.remove(sequence)
        if sequence in self.running:
            self.running.remove(sequence)
            if sequence.slot is not None:
                sequence.slot.is_running, sequence.slot.last_used_tick = False, self._tick()
            sequence.slot = None

    def evict(self) -> CacheSlot | None:
        """Empty the slot that was idle longest; returns it, or None if no idle slot holds anything."""
        evictable = [slot for slot in self.slots if slot.tokens and not slot.is_running]
        if not evictable:
            return None
        oldest = min(evictable, key=lambda slot: slot.last_used_tick)
        self.empty(oldest)
        return oldest

    def preempt(self) -> CacheSlot | None:
        """Send the newest running sequence back to the head of the queue; returns its slot, or None if only one is running."""
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
        """Forget the tokens of a slot."""
        slot.tokens, slot.chunk_starts = [], []

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
