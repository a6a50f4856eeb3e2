"""Slots of a shared KV cache: which sequences run, which wait, and which cached prefixes can be reused. Pure bookkeeping.

A slot is one sequence id of the cache. It keeps its tokens after its answer has ended, until another sequence needs the slot or
its cells, so that the next turn of a conversation prefills its new part only. Slots share prefixes without copying. Prefixes that
leave the cache can be saved outside it (`SavedPrefixes`).

Kernels give slightly different results for different numbers of rows, and for other orders of the cells. So a request that runs
alone is computed in one way only, whatever is cached: in the cells 0, 1, 2, … of a cache that holds nothing else, its prompt in
chunks of `GRID_TOKENS`. It reuses the *repeatable* part of a prefix, which such requests computed in whole chunks, and nothing
that was computed token by token or beside others. Equal requests that run alone are then equal in every bit. Requests that run
together reuse all that is cached, cut where a chunk began.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

SlotPayload = TypeVar("SlotPayload")

GRID_TOKENS = 128
"""Tokens of a prefill chunk of a request that runs alone. Chunks begin at multiples of it."""


@dataclass(eq=False, slots=True)
class CacheSlot:
    """The contents of one sequence id: `tokens`, computed with `adapter`, in chunks that began at `chunk_starts`."""

    number: int
    tokens: list[int] = field(default_factory=list)
    chunk_starts: list[int] = field(default_factory=list)
    adapter: str | None = None
    num_repeatable: int = 0
    """How many of the first tokens a request that runs alone may reuse; a multiple of `GRID_TOKENS`."""
    last_used_tick: int = 0
    is_running: bool = False

    def repeatable_prefix_length(self, tokens: list[int], adapter: str | None) -> int:
        """How many of the first `tokens` a request that runs alone may reuse; at least one token is always left to compute."""
        return _repeatable_length(self.tokens, self.num_repeatable, tokens) if adapter == self.adapter else 0

    def reusable_prefix_length(self, tokens: list[int], adapter: str | None) -> int:
        """How many of the first `tokens` are cached here and reusable; at least one token is always left to compute."""
        if adapter != self.adapter:
            return 0
        common = _common_length(self.tokens, tokens)
        if common == len(self.tokens):
            return common
        return max((start for start in self.chunk_starts if start <= common), default=0)


def _common_length(cached: Sequence[int], tokens: list[int]) -> int:
    """How many of the first `tokens` are cached, leaving at least one token."""
    common = 0
    for cached_token, token in zip(cached, tokens[:-1], strict=False):
        if cached_token != token:
            break
        common += 1
    return common


def _repeatable_length(cached: Sequence[int], num_repeatable: int, tokens: list[int]) -> int:
    return min(num_repeatable, _common_length(cached, tokens)) // GRID_TOKENS * GRID_TOKENS


@dataclass(frozen=True, slots=True, eq=False)
class SavedPrefix:
    """The cached `tokens` of a sequence outside the cache: `data` is the engine's copy of their cells."""

    tokens: tuple[int, ...]
    adapter: str | None
    num_repeatable: int
    data: bytes


class SavedPrefixes:
    """Prefixes outside the cache, at most `max_bytes` in all. The ones that were not used for the longest time are dropped."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._prefixes: list[SavedPrefix] = []
        """The least recently used first."""

    @property
    def size_bytes(self) -> int:
        """Size of all copies."""
        return sum(len(prefix.data) for prefix in self._prefixes)

    def accepts(self, size_bytes: int) -> bool:
        """Whether a copy of this size can be kept at all."""
        return 0 < size_bytes <= self._max_bytes

    def add(self, prefix: SavedPrefix) -> None:
        """Keep a prefix. It replaces those that hold less of the same."""
        self._prefixes = [saved for saved in self._prefixes if not _covers(prefix, saved)]
        self._prefixes.append(prefix)
        while self.size_bytes > self._max_bytes:
            self._prefixes.pop(0)

    def find(self, tokens: list[int], adapter: str | None, *, alone: bool) -> tuple[SavedPrefix, int] | None:
        """The prefix that saves the most work, and how many of its tokens to reuse; None if none saves any."""
        best: tuple[SavedPrefix, int] | None = None
        for prefix in self._prefixes:
            if prefix.adapter == adapter:
                length = (
                    _repeatable_length(prefix.tokens, prefix.num_repeatable, tokens)
                    if alone
                    else _common_length(prefix.tokens, tokens)
                )
                if length > (best[1] if best else 0):
                    best = prefix, length
        if best:
            self._prefixes.remove(best[0])
            self._prefixes.append(best[0])
        return best

    def drop_adapter(self, adapter: str) -> None:
        """Drop everything that was computed with an adapter."""
        self._prefixes = [prefix for prefix in self._prefixes if prefix.adapter != adapter]


def _covers(prefix: SavedPrefix, other: SavedPrefix) -> bool:
    """Whether `prefix` makes `other` superfluous."""
    return (
        prefix.adapter == other.adapter
        and prefix.num_repeatable >= other.num_repeatable
        and prefix.tokens[: len(other.tokens)] == other.tokens
    )


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

    def take_single(self) -> SlottedSequence[SlotPayload] | None:
        """The waiting sequence that can run alone, taken from the queue: nothing runs, and nothing else waits."""
        return self.waiting.popleft() if not self.running and len(self.waiting) == 1 else None

    def assign_single(self, sequence: SlottedSequence[SlotPayload], slot: CacheSlot, num_kept: int) -> None:
        """Let a sequence run alone in `slot`, which keeps its first `num_kept` tokens."""
        del slot.tokens[num_kept:]
        slot.chunk_starts = [start for start in slot.chunk_starts if start < num_kept]
        slot.num_repeatable = num_kept
        slot.adapter, slot.is_running, slot.last_used_tick = sequence.adapter, True, self._tick()
        sequence.slot = slot
        self.running.append(sequence)

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
        # Shared or moved cells lie elsewhere than those of a request that runs alone.
        target.num_repeatable = 0 if source is not None else min(target.num_repeatable, num_kept) // GRID_TOKENS * GRID_TOKENS
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
        slot.tokens, slot.chunk_starts, slot.num_repeatable = [], [], 0

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
