"""Building lesson sets: their lessons, the reasons for what is left out, and lineage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.feedback.people import open_feedback_log, simulate_events
from tests.tasks.records import add_answer, add_edited_answers, add_members, distinct_text, record_consensus_run
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.feedback import FeedbackLog, event_to_dict, load_latest_run
from yearling.store import make_text
from yearling.tasks import (
    BuildConfig,
    LessonSet,
    LessonSetBuild,
    build_lesson_set,
    diff_lesson_sets,
    fingerprint_exam,
    open_lesson_set,
)
from yearling.tasks.heldout import read_heldout_lessons


def is_accounted_for(build_result: LessonSetBuild) -> bool:
    """Return whether kept + dropped = read, for judgements and for lessons."""
    judgements, lessons = build_result.report["judgements"], build_result.report["lessons"]
    is_complete: bool = judgements["kept"] + sum(judgements["dropped"].values()) == judgements["num_seen"]
    for kind, made in lessons["made"].items():
        parts = lessons["train"].get(kind, 0) + lessons["heldout"].get(kind, 0) + sum(lessons["dropped"].get(kind, {}).values())
        is_complete = is_complete and parts == made
    return is_complete


def all_file_text(lessons: LessonSet) -> str:
    return "".join(path.read_text() for path in sorted(lessons.folder.iterdir()))


def test_build_needs_a_consensus_run(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log, pytest.raises(NotFound) as raised:
        build_lesson_set(log.store)
    assert "yearling consensus run" in raised.value.advice


def test_empty_build_explains_why(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        record_consensus_run(log)
        with pytest.raises(BadInput, match="nothing to learn") as raised:
            build_lesson_set(log.store)
        assert "yearling feedback import" in raised.value.advice
        log.rate(owner, add_answer(log, owner, 1), 0.5)
        record_consensus_run(log)
        with pytest.raises(BadInput) as raised:
            build_lesson_set(log.store)
        assert "nothing decided (1)" in raised.value.advice


def test_lessons_of_a_single_person_installation(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        good, bad, left, _, edited_item = (add_answer(log, owner, number) for number in range(5))
        right = add_answer(log, owner, 2, text="Another answer to the same question.", output_ids=(8, 2), logprobs=())
        rated = [log.rate(owner, good, 1.0), log.rate(owner, bad, 0.0)]
        compared, edit = log.compare(owner, left, right, "right"), log.add_edit(owner, edited_item, "Better words.")
        record_consensus_run(log)
        build_result = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        lessons = build_result.lesson_set
        up, down = sorted(lessons.thumbs(), key=lambda thumb: not thumb.up)
        assert (up.up, up.prompt_ids, up.answer_ids, up.model_hash) == (True, (1, 0), (7, 0, 2), "ab" * 32)
        assert up.weight == pytest.approx(1 / 3)
        assert (down.up, down.source) == (False, f"consensus {rated[1].id}")
        pairs = {pair.source: pair for pair in lessons.pairs()}
        pair = pairs[f"consensus {compared.id}"]
        assert pair.first == "Another answer to the same question."
        assert (pair.q, pair.weight) == pytest.approx((2 / 3, 1 / 3), abs=0.01)
        assert (pair.prompt_ids, pair.first_ids, pair.second_ids) == ((1, 2), (8, 2), (7, 2, 2))
        corrected = pairs[f"edit {edit.id}"]
        assert (corrected.first, corrected.second) == ("Better words.", distinct_text(1004))
        assert (corrected.prompt_ids, corrected.first_ids, corrected.second_ids) == ((1, 4), (), (7, 4, 2))
        demonstrations = {one.answer: one for one in lessons.demonstrations()}
        assert set(demonstrations) == {"Better words.", distinct_text(1000)}
        assert (demonstrations["Better words."].prompt_ids, demonstrations["Better words."].answer_ids) == ((1, 4), ())
        assert is_accounted_for(build_result)
        assert build_result.report["judgements"]["dropped"] == {}
        assert build_result.report["with_token_ids"] == 6


def test_single_person_is_split_by_conversation(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        add_edited_answers(log, owner, range(40))
        record_consensus_run(log)
        build_result = build_lesson_set(log.store, BuildConfig(heldout_share=0.25))
        assert build_result.report["split"]["by"] == "conversation"
        assert build_result.report["split"]["why"] == "all lessons hold one person's words"
        heldout = read_heldout_lessons(build_result.lesson_set)
        # Ids are random, and so is this split. The bounds fail once in a hundred thousand runs.
        assert 1 <= len(heldout) / 2 <= 24
        messages_by_part = [{str(lesson.messages) for lesson in part} for part in (heldout, build_result.lesson_set.lessons())]
        assert messages_by_part[0].isdisjoint(messages_by_part[1])
        assert {lesson.kind for lesson in heldout} == {"pair", "demonstration"}, "an edit's two lessons stay together"
        assert is_accounted_for(build_result)


def community_log(log: FeedbackLog) -> None:
    """Log ratings and comparisons of thirty answers to one question by a community of forty."""
    events = simulate_events(num_raters=40, num_items=30, comparisons=60)
    items = sorted({name for event in events for name in (getattr(event, "item", None), getattr(event, "left", None)) if name})
    texts = [
        make_text(
            item,
            "answer",
            {
                "messages": [{"role": "user", "content": f"Tell me about {distinct_text(7000)}"}],
                "text": distinct_text(9000 + number, 40),
            },
        )
        for number, item in enumerate(items)
    ]
    log.store.events.append([event_to_dict(event) for event in events], texts=texts)
    record_consensus_run(log)


@pytest.mark.slow
def test_lessons_follow_the_consensus(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        community_log(log)
        build_result = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        finished = load_latest_run(log.store)
        assert finished is not None
        snapshot = finished.snapshot
        text = {item.id: item.content["text"] for item in log.store.texts.list()}
        expected = {(text[pair.better], text[pair.worse]): (pair.q, pair.weight) for pair in snapshot.pairs if pair.weight > 0}
        assert len(expected) > 20
        assert {(pair.first, pair.second): (pair.q, pair.weight) for pair in build_result.lesson_set.pairs()} == expected
        good = {text[item.item]: item.weight for item in snapshot.items if item.label > 0}
        bad = {text[item.item]: item.weight for item in snapshot.items if item.label < 0}
        assert good
        assert bad
        thumbs = build_result.lesson_set.thumbs()
        assert {thumb.answer: thumb.weight for thumb in thumbs if thumb.up} == good
        assert {thumb.answer: thumb.weight for thumb in thumbs if not thumb.up} == bad
        assert good.keys() <= {one.answer for one in build_result.lesson_set.demonstrations()}
        dropped = build_result.report["judgements"]["dropped"]
        assert {"people_are_divided", "nothing_decided"} & set(dropped)
        assert is_accounted_for(build_result)
        assert build_result.lesson_set.manifest["consensus"]["snapshot"] == snapshot.hash
        assert build_result.report["split"]["by"] == "conversation"


def test_lineage_links_lessons_and_judgements_without_names(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        ann, bob = add_members(log, 2)
        item = add_answer(log, ann.id, 1)
        rating, edit = log.rate(ann.id, item, 1.0), log.add_edit(ann.id, item, "Better words.")
        record_consensus_run(log)
        lessons = build_lesson_set(log.store, BuildConfig(heldout_share=0.0)).lesson_set
        sources = {one.key: one for one in log.store.lesson_sets.list_sources(lessons.hash)}
        for lesson in lessons.lessons():
            assert sources[lesson.key].event_ids == tuple(lesson.source.split(" ")[1:])
            assert set(sources[lesson.key].event_ids) <= {rating.id, edit.id}
        consensus = lessons.manifest["consensus"]
        run = log.store.consensus_runs.get_newest()
        assert run is not None
        assert (consensus["run"], consensus["snapshot"], consensus["head"]) == (run.sequence, run.snapshot_sha256, run.head)
        assert log.store.lesson_sets.list()[0].manifest["consensus"] == consensus
        for secret in (ann.id, bob.id, ann.name, bob.name, log.pseudonym(ann.id), log.pseudonym(bob.id)):
            assert secret not in all_file_text(lessons)
        assert log.store.verify().ok


def test_withdrawn_judgements_leave_the_next_set_and_the_report_names_earlier_sets(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        log.rate(owner, add_answer(log, owner, 1), 1.0)
        record_consensus_run(log)
        first = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        edit = log.add_edit(owner, add_answer(log, owner, 2), "Words that I regret.")
        record_consensus_run(log)
        second = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        assert "Words that I regret." in all_file_text(second.lesson_set)
        log.retract(owner, edit.id)
        with pytest.raises(Conflict) as raised:
            build_lesson_set(log.store)
        assert "yearling consensus run" in raised.value.advice
        record_consensus_run(log)
        third = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        assert third.report["taken_back"] == {second.lesson_set.hash: {"retracted": 1}}
        assert third.report["judgements"]["dropped"] == {"retracted": 1}
        assert is_accounted_for(third)
        assert (third.lesson_set.hash, third.is_new) == (first.lesson_set.hash, False), "a retraction equals never having said it"
        assert open_lesson_set(log.store).hash == first.lesson_set.hash, "the set to train on is not the newest one any more"
        assert [record.version for record in log.store.lesson_sets.list()] == [1, 2]
        assert log.store.verify().ok


def test_judgements_after_the_run_wait(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        log.rate(owner, add_answer(log, owner, 1), 1.0)
        record_consensus_run(log)
        log.rate(owner, add_answer(log, owner, 2), 1.0)
        build_result = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        assert build_result.report["judgements"]["dropped"] == {"newer_than_the_consensus_run": 1}
        assert len(build_result.lesson_set.thumbs()) == 1
        assert is_accounted_for(build_result)


def test_judgements_without_a_usable_answer_are_counted(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        cut = add_answer(log, owner, 1, finish_reason="length")
        empty, retracted = add_answer(log, owner, 2, text="  "), add_answer(log, owner, 3)
        other, here = add_answer(log, owner, 4), add_answer(log, owner, 5)
        counted = add_answer(
            log, owner, 6, kept="metadata", messages=(), prompt_ids=(), output_ids=(), logprobs=(), output_text=""
        )
        for item in (cut, empty, retracted, counted):
            log.rate(owner, item, 1.0)
        note = log.add_note(owner, here, "Mind the date.")
        log.compare(owner, other, here, "left")
        log.rate(owner, here, 1.0)
        log.store.samples.delete(retracted, person_id=owner)
        record_consensus_run(log)
        build_result = build_lesson_set(log.store, BuildConfig(heldout_share=0.0))
        assert build_result.report["judgements"]["dropped"] == {
            "about_a_note": 1,
            "answer_was_cut_off": 1,
            "answers_to_different_prompts": 1,
            "empty_answer": 1,
            "words_gone": 1,
            "words_not_kept": 1,
        }
        assert note.id not in all_file_text(build_result.lesson_set)
        assert is_accounted_for(build_result)


def test_duplicates_and_leaks_are_dropped(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        words = distinct_text(77, 60)
        for number, assistant_turn in (
            (1, words),
            (1, words),
            (1, f"{words} indeed"),
            (2, words),
            (3, distinct_text(31, 60)),
            (4, distinct_text(32)),
        ):
            log.add_edit(owner, add_answer(log, owner, number, text=distinct_text(number + 50)), assistant_turn)
        record_consensus_run(log)
        inside = distinct_text(31, 60).split()[20:33]
        exams = [fingerprint_exam("planted", [f"An exam asks: {' '.join(inside)}?", "Short one?"])]
        build_result = build_lesson_set(log.store, BuildConfig(heldout_share=0.0), exams=exams)
        dropped = build_result.report["lessons"]["dropped"]
        assert dropped["demonstration"] == {"duplicate": 1, "in_the_exam_planted": 1, "near_duplicate": 1}
        assert dropped["pair"] == {"duplicate": 1, "in_the_exam_planted": 1, "near_duplicate": 1}
        assert build_result.report["judgements"]["kept"] == 3
        assert is_accounted_for(build_result)
        shorter = [fingerprint_exam("planted", [" ".join(inside[:-1])])]
        diff = build_lesson_set(log.store, BuildConfig(heldout_share=0.0), exams=shorter).report["lessons"]["dropped"]["pair"]
        assert diff == {"duplicate": 1, "near_duplicate": 1}


def test_trained_lessons_are_never_held_out(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        add_edited_answers(log, owner, range(30))
        record_consensus_run(log)
        first = build_lesson_set(log.store, BuildConfig(heldout_share=0.1))
        second = build_lesson_set(log.store, BuildConfig(heldout_share=0.4))
        learnt = {lesson.key for lesson in first.lesson_set.lessons()}
        assert learnt.isdisjoint(lesson.key for lesson in read_heldout_lessons(second.lesson_set))
        assert second.report["lessons"]["dropped"]["pair"]["learnt_before"] > 0
        assert is_accounted_for(second)


def test_generated_tasks_are_counted_and_keep_their_part(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        record_consensus_run(log)
        build_result = build_lesson_set(log.store, BuildConfig(environments=(("running_totals", 20),)))
        train, heldout = build_result.lesson_set.prompts(), read_heldout_lessons(build_result.lesson_set)
        assert (len(train), len(heldout)) == (20, 2)
        assert {prompt.key for prompt in train}.isdisjoint(prompt.key for prompt in heldout)
        assert {prompt.environment.partition(":")[0] for prompt in train} == {"running_totals"}
        assert is_accounted_for(build_result)
        again = build_lesson_set(log.store, BuildConfig(environments=(("running_totals", 20),)))
        assert (again.lesson_set.hash, again.is_new) == (build_result.lesson_set.hash, False)


def test_diff_of_two_lesson_sets(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        items = [add_answer(log, owner, number) for number in range(3)]
        log.rate(owner, items[0], 1.0)
        retracted = log.rate(owner, items[1], 0.0)
        record_consensus_run(log)
        old = build_lesson_set(log.store, BuildConfig(heldout_share=0.0)).lesson_set
        log.retract(owner, retracted.id)
        log.rate(owner, items[0], 0.0)
        log.rate(owner, items[2], 0.0)
        record_consensus_run(log)
        new = build_lesson_set(log.store, BuildConfig(heldout_share=0.0)).lesson_set
        diff = diff_lesson_sets(old, new, *(log.store.lesson_sets.list_sources(one.hash) for one in (old, new)))
        assert [(lesson.kind, getattr(lesson, "answer", "")) for lesson in diff.added] == [("thumb", distinct_text(1002))]
        assert {(lesson.kind, getattr(lesson, "answer", "")) for lesson in diff.removed} == {
            ("thumb", distinct_text(1001)),
            ("demonstration", distinct_text(1000)),
        }
        assert [(one.before[0], one.after[0]) for one in diff.changed] == [(1.0, 0.0)]
        assert (diff.num_unchanged, diff.moved_parts) == (0, ())


def test_damaged_set_is_rejected_and_can_be_rebuilt(tmp_path: Path) -> None:
    config = BuildConfig(heldout_share=0.0)  # otherwise the only lesson may be held out
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        log.rate(owner, add_answer(log, owner, 1), 1.0)
        record_consensus_run(log)
        lessons = build_lesson_set(log.store, config).lesson_set
        (lessons.folder / "train.jsonl").write_bytes(b"")
        with pytest.raises(Untrusted, match="changed"):
            open_lesson_set(log.store)
        with pytest.raises(Untrusted, match="changed"):
            build_lesson_set(log.store, config)
        for path in lessons.folder.iterdir():
            path.unlink()
        lessons.folder.rmdir()
        assert build_lesson_set(log.store, config).lesson_set.hash == lessons.hash
        assert open_lesson_set(log.store, "1").hash == open_lesson_set(log.store, lessons.hash[:8]).hash
        with pytest.raises(NotFound):
            open_lesson_set(log.store, "2")
