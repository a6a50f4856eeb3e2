"""Continuous batching against a make-believe cache: nobody starves, rows stay true, memory stays bounded."""

from __future__ import annotations

import itertools
import random

import pytest

from yearling.inference.batch_scheduler import BatchScheduler, RowMove, ScheduledSequence


class Machine:
    """An engine without a model: caches are lists of tokens, so that every row can be compared with what it should hold."""

    def __init__(self, **bounds: int) -> None:
        self.scheduler: BatchScheduler[int] = BatchScheduler(**bounds)
        self.rows: dict[int, list[int]] = {}
        self.private: dict[ScheduledSequence[int], list[int]] = {}
        self.largest = 0
        self.steps = 0

    def submit(self, prompt: int, answer: int) -> ScheduledSequence[int]:
        """A sequence of `prompt` tokens that wants to become `prompt + answer` long (its payload)."""
        sequence = ScheduledSequence(tokens=[random.randrange(10**9) for _ in range(prompt)], payload=prompt + answer)
        self.scheduler.add(sequence)
        return sequence

    def step(self) -> list[ScheduledSequence[int]]:
        """One step; returns what finished in it."""
        self.steps += 1
        step = self.scheduler.plan()
        for move in step.moves:
            self.move(move)
        for sequence in step.preempted:
            self.private.pop(sequence, None)
        used = len(step.decode) * step.width + sum(len(one.tokens) for one in self.scheduler.prefilling)
        self.largest = max(self.largest, used)
        done: list[ScheduledSequence[int]] = []
        for row, sequence in enumerate(step.decode):
            assert sequence.row == row
            assert sequence.num_uncached == 1
            assert self.rows[row][: sequence.num_cached] == sequence.tokens[:-1], "a row holds another sequence's cache"
        for sequence in step.decode:
            assert sequence.row is not None
            self.rows[sequence.row] = list(sequence.tokens)
        for sequence in step.decode:
            done += self.emit(sequence)
        for chunk in step.chunks:
            cache = self.private.setdefault(chunk.sequence, [])
            assert len(cache) == chunk.start
            cache += chunk.sequence.tokens[chunk.start : chunk.stop]
            row = self.scheduler.mark_prefilled(chunk)
            if row is not None:
                self.rows[row] = self.private.pop(chunk.sequence)
                done += self.emit(chunk.sequence)
        return done

    def emit(self, sequence: ScheduledSequence[int]) -> list[ScheduledSequence[int]]:
        self.scheduler.append_token(sequence, random.randrange(10**9))
        if len(sequence.tokens) < sequence.payload:
            return []
        self.move(self.scheduler.finish(sequence))
        return [sequence]

    def move(self, move: RowMove | None) -> None:
        if move is not None:
            self.rows[move.target] = list(self.rows[move.source][: move.tokens])


@pytest.mark.slow
def test_random_traffic_all_finishes_within_the_budget() -> None:
    random.seed(0)
    for _ in range(30):
        machine = Machine(max_rows=random.randint(1, 9), budget_tokens=400, chunk_tokens=random.randint(1, 40))
        wanted = [machine.submit(random.randint(1, 200), random.randint(1, 150)) for _ in range(25)]
        done: list[ScheduledSequence[int]] = []
        while machine.scheduler.has_work():
            done += machine.step()
            assert machine.steps < 20_000
        assert sorted(map(id, done)) == sorted(map(id, wanted))
        assert machine.largest <= 400


def test_cancelling_anywhere_frees_the_row_at_once_and_disturbs_nobody() -> None:
    random.seed(1)
    for _ in range(60):
        machine = Machine(max_rows=4, budget_tokens=2000, chunk_tokens=16)
        sequences = [machine.submit(random.randint(1, 60), random.randint(5, 40)) for _ in range(8)]
        for _ in range(random.randint(0, 20)):
            machine.step()
        victim = random.choice(sequences)
        machine.move(machine.scheduler.finish(victim))
        assert machine.scheduler.finish(victim) is None
        under_way = [*machine.scheduler.decoding, *machine.scheduler.prefilling, *machine.scheduler.waiting]
        assert victim not in under_way
        while machine.scheduler.has_work():
            machine.step()


def test_a_long_prompt_does_not_stall_others() -> None:
    machine = Machine(max_rows=8, budget_tokens=10**6, chunk_tokens=64)
    chatting = machine.submit(10, 500)
    machine.step()
    document = machine.submit(5000, 1)
    machine.step()
    question = machine.submit(20, 5)
    before, lengths = machine.steps, []
    while len(question.tokens) < 25:
        machine.step()
        lengths.append(len(chatting.tokens))
    assert machine.steps - before <= 7, "the short question waited for the document"
    assert [after - earlier for earlier, after in itertools.pairwise(lengths)] == [1] * (len(lengths) - 1)
    assert len(document.tokens) == 5000


def test_nobody_is_starved() -> None:
    machine = Machine(max_rows=32, budget_tokens=10**6)
    sequences = [machine.submit(20, 50) for _ in range(32)]
    finished_at = {}
    while machine.scheduler.has_work():
        for sequence in machine.step():
            finished_at[id(sequence)] = machine.steps
    assert len(finished_at) == len(sequences)
    assert max(finished_at.values()) <= 2 * min(finished_at.values())


def test_a_step_without_others_prefills_in_large_chunks() -> None:
    machine = Machine(max_rows=2, budget_tokens=10**6, chunk_tokens=64, idle_chunk_tokens=512)
    machine.submit(1000, 1)
    assert [len(chunk.sequence.tokens[chunk.start : chunk.stop]) for chunk in machine.scheduler.plan().chunks] == [512]


def test_growth_past_the_budget_sends_the_newest_back_and_it_still_finishes() -> None:
    machine = Machine(max_rows=4, budget_tokens=100, chunk_tokens=64)
    older = machine.submit(10, 80)
    newer = machine.submit(10, 60)
    order = []
    while machine.scheduler.has_work():
        order += machine.step()
    assert order == [older, newer]
    assert machine.largest <= 100


def test_what_can_never_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Machine(max_rows=1, budget_tokens=10).submit(11, 1)
