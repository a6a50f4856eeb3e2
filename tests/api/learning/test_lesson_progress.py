"""How many lessons wait for the next training."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.feedback.people import append_events, open_feedback_log, publish, simulate_events
from yearling.api.learning.lesson_progress import LESSONS_GOAL, LessonProgress, find_lesson_subjects
from yearling.feedback import Comparison, FeedbackLog, LiveConsensus
from yearling.store import LessonSource
from yearling.training import RunFolder


@pytest.mark.slow
def test_lessons_are_counted_until_a_run_has_trained_on_them(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        append_events(log, simulate_events(num_raters=40, comparisons=10))
        consensus, progress = LiveConsensus(log), LessonProgress()
        run = consensus.run_now()
        items = [result.item for result in run.snapshot.items if result.weight > 0]
        pairs = [pair for pair in run.snapshot.pairs if pair.weight > 0]
        assert items
        assert pairs
        assert len(items) + len(pairs) > LESSONS_GOAL

        def count() -> int:
            return progress.count(log.store, consensus)

        everything = len(items) + len(pairs)
        assert count() == everything

        # Words that are gone cannot be learnt, even before the next consensus run.
        log.store.texts.delete(items[0], actor="test")
        lost_pairs = sum(1 for pair in pairs if items[0] in (pair.better, pair.worse))
        assert count() == everything - 1 - lost_pairs
        publish(log, items[0])
        assert count() == everything

        # A set alone changes nothing; a run that trained on it does.
        rating = next(event for event in log.index.events_about(items[1]) if event.kind == "rating")
        comparison = next(
            event
            for event in log.index.events()
            if isinstance(event, Comparison) and {event.left, event.right} == {pairs[0].better, pairs[0].worse}
        )
        sources = [LessonSource(part="train", kind="thumb", key="k", event_ids=(rating.id,))]
        sources.append(LessonSource(part="heldout", kind="pair", key="p", event_ids=(comparison.id, "unknown")))
        manifest = {"hash": "ab" * 32, "version": 1, "created_utc": "2026-01-02T03:04:05+00:00", "counts": {}}
        log.store.lesson_sets.record(manifest, {}, sources)
        folder = log.store.settings.runs_dir
        trained = make_run(folder / "trained", "ab" * 32)
        make_run(folder / "elsewhere", "cd" * 32).write_status("finished", step=1)
        assert count() == everything
        trained.write_status("stopped", step=1)
        assert count() == everything - 2


def make_run(folder: Path, lesson_set: str) -> RunFolder:
    model = {"name": "m", "sha256": "ab"}
    return RunFolder.create(folder, {}, method="sft", seed=1, total_steps=3, model=model, threads=1, lesson_set=lesson_set)


def test_edits_count_and_notes_do_not(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        ada, ben = log.store.people.owner().id, log.store.people.add("Ben").id
        publish(log, "answer")
        note = log.add_note(ada, "answer", "Context.")
        log.rate_note(ben, note.note, 1.0)
        edit = log.add_edit(ada, "answer", "Better.")
        consensus = LiveConsensus(log)
        consensus.run_now()
        progress = LessonProgress()
        assert find_subjects(log, consensus) >= {tuple(sorted(("answer", edit.result)))}
        assert not any(note.note in subject for subject in find_subjects(log, consensus))
        assert progress.count(log.store, consensus) == 1
        log.retract(ada, edit.id)
        consensus.run_now()
        assert progress.count(log.store, consensus) == 0


def find_subjects(log: FeedbackLog, consensus: LiveConsensus) -> set[tuple[str, ...]]:
    with log.index.consistent_view() as index:
        return find_lesson_subjects(consensus.latest_run.snapshot, index)
