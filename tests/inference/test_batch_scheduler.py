"""The batch scheduler with simulated caches: no sequence starves, rows stay correct, memory stays bounded."""

from __future__ import annotations

import itertools
import random

import pytest

from yearling.inference.batch_scheduler import BatchScheduler, RowMove, ScheduledSequence


class SimulatedEngine:
    """An engine without a model: caches are lists of tokens, so that every row can be compared with its sequence."""

    def __init__(self, scheduler: BatchScheduler[int]) -> None:
        self.scheduler = scheduler
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
        used = len(step.decode) * step.width + sum(len(item.tokens) for item in self.scheduler.prefilling)
        self.largest = max(self.largest, used)
        finished: list[ScheduledSequence[int]] = []
        for row, sequence in enumerate(step.decode):
            assert sequence.row == row
            assert sequence.num_uncached == 1
            assert self.rows[row][: sequence.num_cached] == sequence.tokens[:-1], "a row holds another sequence's cache"
        for sequence in step.decode:
            assert sequence.row is not None
            self.rows[sequence.row] = list(sequence.tokens)
        for sequence in step.decode:
            finished += self.emit(sequence)
        for chunk in step.chunks:
            cache = self.private.setdefault(chunk.sequence, [])
            assert len(cache) == chunk.start
            cache += chunk.sequence.tokens[chunk.start : chunk.stop]
            prefilled_row = self.scheduler.mark_prefilled(chunk)
            if prefilled_row is not None:
                self.rows[prefilled_row] = self.private.pop(chunk.sequence)
                finished += self.emit(chunk.sequence)
        return finished

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
def test_random_requests_all_finish_within_the_budget() -> None:
    random.seed(0)
    for _ in range(30):
        engine = SimulatedEngine(
            BatchScheduler(max_rows=random.randint(1, 9), budget_tokens=400, chunk_tokens=random.randint(1, 40))
        )
        submitted = [engine.submit(random.randint(1, 200), random.randint(1, 150)) for _ in range(25)]
        finished: list[ScheduledSequence[int]] = []
        while engine.scheduler.has_work():
            finished += engine.step()
            assert engine.steps < 20_000
        assert sorted(map(id, finished)) == sorted(map(id, submitted))
        assert engine.largest <= 400


def test_cancelling_frees_the_row_at_once_and_leaves_others_unchanged() -> None:
    random.seed(1)
    for _ in range(60):
        engine = SimulatedEngine(BatchScheduler(max_rows=4, budget_tokens=2000, chunk_tokens=16))
        sequences = [engine.submit(random.randint(1, 60), random.randint(5, 40)) for _ in range(8)]
        for _ in range(random.randint(0, 20)):
            engine.step()
        victim = random.choice(sequences)
        engine.move(engine.scheduler.finish(victim))
        assert engine.scheduler.finish(victim) is None
        unfinished = [*engine.scheduler.decoding, *engine.scheduler.prefilling, *engine.scheduler.waiting]
        assert victim not in unfinished
        while engine.scheduler.has_work():
            engine.step()


def test_a_long_prompt_does_not_stall_other_sequences() -> None:
    engine = SimulatedEngine(BatchScheduler(max_rows=8, budget_tokens=10**6, chunk_tokens=64))
    chatting = engine.submit(10, 500)
    engine.step()
    document = engine.submit(5000, 1)
    engine.step()
    question = engine.submit(20, 5)
    before, lengths = engine.steps, []
    while len(question.tokens) < 25:
        engine.step()
        lengths.append(len(chatting.tokens))
    assert engine.steps - before <= 7, "the short question waited for the document"
    assert [after - earlier for earlier, after in itertools.pairwise(lengths)] == [1] * (len(lengths) - 1)
    assert len(document.tokens) == 5000


def test_no_sequence_starves() -> None:
    engine = SimulatedEngine(BatchScheduler(max_rows=32, budget_tokens=10**6))
    sequences = [engine.submit(20, 50) for _ in range(32)]
    finished_at = {}
    while engine.scheduler.has_work():
        for sequence in engine.step():
            finished_at[id(sequence)] = engine.steps
    assert len(finished_at) == len(sequences)
    assert max(finished_at.values()) <= 2 * min(finished_at.values())


def test_a_step_without_others_prefills_in_large_chunks() -> None:
    engine = SimulatedEngine(BatchScheduler(max_rows=2, budget_tokens=10**6, chunk_tokens=64, idle_chunk_tokens=512))
    engine.submit(1000, 1)
    assert [len(chunk.sequence.tokens[chunk.start : chunk.stop]) for chunk in engine.scheduler.plan().chunks] == [512]


def test_the_newest_sequence_is_preempted_past_the_budget_and_still_finishes() -> None:
    engine = SimulatedEngine(BatchScheduler(max_rows=4, budget_tokens=100, chunk_tokens=64))
    older = engine.submit(10, 80)
    newer = engine.submit(10, 60)
    order = []
    while engine.scheduler.has_work():
        order += engine.step()
    assert order == [older, newer]
    assert engine.largest <= 100


def test_a_sequence_larger_than_the_budget_raises() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        SimulatedEngine(BatchScheduler(max_rows=1, budget_tokens=10)).submit(11, 1)
