"""Slots of a shared KV cache: order, reuse of prefixes, and what happens when cells run out."""

from __future__ import annotations

from yearling.inference.cache_slots import SlotAssignment, SlotScheduler, SlottedSequence


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
