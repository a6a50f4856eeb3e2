"""Slots of a shared KV cache: order, reuse of prefixes, and what happens when cells run out."""

from __future__ import annotations

from yearling.inference.cache_slots import GRID_TOKENS, SavedPrefix, SavedPrefixes, SlotAssignment, SlotScheduler, SlottedSequence


def sequence(*tokens: int, adapter: str | None = None) -> SlottedSequence[str]:
    return SlottedSequence(tokens=list(tokens), adapter=adapter, payload="")


def compute(one: SlottedSequence[str]) -> None:
    """Record a prefill in one chunk, as the engine does."""
    assert one.slot is not None
    one.slot.chunk_starts.append(len(one.slot.tokens))
    one.slot.tokens = list(one.tokens)


def run(slots: SlotScheduler[str], one: SlottedSequence[str]) -> SlotAssignment:
    """Assign a slot to a sequence, compute it and finish it; returns the assignment."""
    slots.add(one)
    [assignment] = slots.assign_waiting()
    compute(one)
    slots.finish(one)
    return assignment


def test_first_come_first_served_while_slots_last() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=2, cells=100)
    sequences = [sequence(n, n, n) for n in range(3)]
    for one in sequences:
        slots.add(one)
    assert len(list(slots.assign_waiting())) == 2
    assert slots.running == sequences[:2]
    slots.finish(sequences[0])
    assert [assignment.slot.number for assignment in slots.assign_waiting()] == [0]
    assert slots.running == [sequences[1], sequences[2]]


def test_a_conversation_continues_in_its_slot() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=2, cells=100)
    assert run(slots, sequence(1, 2, 3)) == SlotAssignment(slots.slots[0], 0, None)
    assignment = run(slots, sequence(1, 2, 3, 4, 5))
    assert (assignment.slot.number, assignment.num_kept, assignment.prefix_source) == (0, 3, None)
    assert slots.slots[0].tokens == [1, 2, 3, 4, 5]
    # A repeated request is cut where its last chunk began, so that the same rows are computed again.
    assignment = run(slots, sequence(1, 2, 3, 4, 5))
    assert (assignment.slot.number, assignment.num_kept) == (0, 3)


def test_a_prefix_is_shared_with_another_conversation() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=2, cells=100)
    run(slots, sequence(1, 2))
    run(slots, sequence(1, 2, 3, 4, 5, 6))
    assignment = run(slots, sequence(1, 2, 9))
    assert (assignment.slot.number, assignment.num_kept) == (1, 2)
    assert assignment.prefix_source is slots.slots[0]
    assert slots.slots[0].tokens == [1, 2, 3, 4, 5, 6]


def test_prefixes_are_never_shared_across_adapters() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=2, cells=100)
    run(slots, sequence(1, 2, 3))
    assignment = run(slots, sequence(1, 2, 3, 4, adapter="a"))
    assert assignment.num_kept == 0
    assert run(slots, sequence(1, 2, 3, 4, 5, adapter="a")).num_kept == 4
    assert run(slots, sequence(1, 2, 3, 7)).num_kept == 3


def test_a_sequence_waits_while_running_ones_need_the_cells() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=4, cells=10)
    first, second = sequence(1, 2, 3, 4, 5), sequence(6, 7, 8, 9, 10)
    slots.add(first)
    slots.add(second)
    assert [assignment.slot.number for assignment in slots.assign_waiting()] == [0]
    compute(first)
    assert list(slots.assign_waiting()) == []
    slots.finish(first)
    assert len(list(slots.assign_waiting())) == 1


def test_idle_slots_are_evicted_before_the_newest_sequence_is_preempted() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=3, cells=100)
    run(slots, sequence(7, 8))
    old, new = sequence(1, 2), sequence(3, 4)
    slots.add(old)
    slots.add(new)
    for _ in slots.assign_waiting():
        pass
    compute(old)
    compute(new)
    evicted = slots.evict()
    assert evicted is not None
    assert evicted.tokens == []
    assert slots.evict() is None
    assert slots.preempt() is not None
    assert slots.running == [old]
    assert list(slots.waiting) == [new]
    assert new.num_uncached == 2
    assert slots.preempt() is None


def test_a_waiting_sequence_can_be_removed() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=1, cells=100)
    one, two = sequence(1), sequence(2)
    slots.add(one)
    slots.add(two)
    for _ in slots.assign_waiting():
        pass
    slots.finish(two)
    slots.finish(two)
    slots.finish(one)
    assert not slots.waiting
    assert not slots.running


def test_a_sequence_that_runs_alone_reuses_whole_chunks_that_were_computed_alone() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=2, cells=10_000)
    prompt = list(range(2 * GRID_TOKENS + 5))
    one = sequence(*prompt)
    slots.add(one)
    assert slots.take_single() is one
    slots.assign_single(one, slots.slots[0], 0)
    compute(one)
    slots.slots[0].num_repeatable = 2 * GRID_TOKENS
    slots.finish(one)
    slot = slots.slots[0]
    assert slot.repeatable_prefix_length(prompt, None) == 2 * GRID_TOKENS
    assert slot.repeatable_prefix_length(prompt[: 2 * GRID_TOKENS], None) == GRID_TOKENS, "one token is left to compute"
    assert slot.repeatable_prefix_length([*prompt[:200], -1, -1], None) == GRID_TOKENS
    assert slot.repeatable_prefix_length(prompt, "a") == 0
    # Beside others it may be reused to the last token, and what is added then is not repeatable.
    assert run(slots, sequence(*prompt, 1, 2)).num_kept == len(prompt)
    assert slot.num_repeatable == 2 * GRID_TOKENS


def test_a_sequence_is_alone_only_if_nothing_runs_or_waits() -> None:
    slots: SlotScheduler[str] = SlotScheduler(count=2, cells=100)
    assert slots.take_single() is None
    slots.add(sequence(1))
    slots.add(sequence(2))
    assert slots.take_single() is None
    for _ in slots.assign_waiting():
        pass
    slots.add(sequence(3))
    assert slots.take_single() is None


def saved(*tokens: int, size: int = 10, adapter: str | None = None, num_repeatable: int = 0) -> SavedPrefix:
    return SavedPrefix(tokens, adapter, num_repeatable, bytes(size))


def test_saved_prefixes_stay_within_their_memory() -> None:
    prefixes = SavedPrefixes(30)
    assert prefixes.accepts(30)
    assert not prefixes.accepts(31)
    for first in range(3):
        prefixes.add(saved(first, 1, 2))
    assert prefixes.find([0, 1, 2, 3], None, alone=False) is not None, "used last"
    prefixes.add(saved(9, 1, 2))
    assert prefixes.size_bytes == 30
    assert prefixes.find([1, 1, 2, 3], None, alone=False) is None
    assert prefixes.find([0, 1, 2, 3], None, alone=False) is not None
    prefixes.add(saved(0, 1, 2, 3, size=20))
    assert prefixes.size_bytes == 30, "it replaces what it continues, and the oldest"


def test_saved_prefixes_are_found_by_what_they_save() -> None:
    prefixes = SavedPrefixes(1000)
    long = tuple(range(3 * GRID_TOKENS))
    prefixes.add(saved(*long, num_repeatable=GRID_TOKENS))
    prefixes.add(saved(*long[: 2 * GRID_TOKENS + 1], num_repeatable=2 * GRID_TOKENS))
    prefixes.add(saved(*long, 7, adapter="a", num_repeatable=3 * GRID_TOKENS))
    together, alone = (prefixes.find([*long, 1], None, alone=alone) for alone in (False, True))
    assert together is not None
    assert together[1] == 3 * GRID_TOKENS
    assert alone is not None
    assert alone[1] == 2 * GRID_TOKENS
    assert prefixes.find([*long, 1], "b", alone=True) is None
    prefixes.drop_adapter("a")
    assert prefixes.find([*long, 1], "a", alone=False) is None
