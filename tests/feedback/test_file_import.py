"""Importing files and exporting the log: every record is accounted for, none doubles, no name leaks, round trips are lossless."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.feedback.people import add_answers, append_events, open_feedback_log, simulate_events
from yearling.errors import BadInput, NotFound, Untrusted
from yearling.feedback import FeedbackImportReport, FeedbackLog, export_log_lines, import_feedback_file, run_and_record

DATA = Path(os.environ.get("YEARLING_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[FeedbackLog]:
    with open_feedback_log(tmp_path / "data") as log:
        yield log


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n")
    return path


def is_balanced(report: FeedbackImportReport) -> bool:
    return report.records == report.num_kept + report.already_there + sum(report.dropped.values())


def export_log(log: FeedbackLog) -> bytes:
    return b"".join(export_log_lines(log.store))


LINES: list[Any] = [
    {"kind": "rating", "actor": "ann", "item": "answer-1", "value": 1, "tags": ["clear"]},
    {"kind": "comparison", "actor": "ben", "left": "answer-1", "right": "answer-2", "outcome": "left"},
    {"kind": "note", "actor": "ann", "item": "answer-1", "note": "note-1", "text": "From 2019."},
    {"kind": "note_rating", "actor": "ben", "item": "note-1", "value": 0.5},
    {"kind": "edit", "actor": "ben", "item": "answer-2", "text": "Better."},
    {"kind": "rating", "id": "r1", "actor": "ben", "item": "answer-2", "value": 0, "created_utc": "2026-01-01T00:00:00+01:00"},
    {"kind": "retraction", "actor": "ben", "event": "r1"},
    {"kind": "vouch", "actor": "ann", "account": "ben", "person": "Ben Smith"},
    {"kind": "jury_invitation", "actor": "ann", "item": "answer-1", "jurors": ["ben", "ann"]},
    {"kind": "text", "id": "answer-1", "content": {"messages": [], "text": "Seven."}},
]


def test_hand_written_lines_are_logged_under_pseudonyms(log: FeedbackLog, tmp_path: Path) -> None:
    report = import_feedback_file(log.store, write_lines(tmp_path / "mine.jsonl", LINES), "jsonl")
    assert is_balanced(report)
    assert not report.dropped
    assert (report.records, report.texts, report.raters) == (10, 3, 2)
    exported = export_log(log).decode()
    for name in ('"ann"', '"ben"', "Ben Smith"):
        assert name not in exported
    events = [entry.event for entry in log.store.events.entries()]
    ann, ben = events[0]["actor"], events[1]["actor"]
    assert events[8]["jurors"] == [ben, ann]
    assert events[7]["account"] == ben
    assert events[7]["person"] not in (ann, ben)
    assert events[5]["created_utc"] == "2025-12-31T23:00:00.000000Z"
    assert log.store.texts.get("note-1").sha256 == events[2]["text_sha256"]
    assert log.store.texts.get(events[4]["result"]).content == {"text": "Better."}
    assert log.store.audit.entries()[-1].action == "feedback.import"


def test_importing_a_file_twice_adds_nothing(log: FeedbackLog, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "mine.jsonl", [*LINES, LINES[0]])
    first = import_feedback_file(log.store, path, "jsonl")
    assert first.dropped == {"the same act twice in this file": 1}
    before = export_log(log)
    again = import_feedback_file(log.store, path, "jsonl")
    assert (again.kept, again.already_there, is_balanced(again)) == ({}, 10, True)
    assert export_log(log) == before
    # The same names in another source stand for other people.
    other = import_feedback_file(log.store, path, "jsonl", source="other")
    assert other.kept == {"comparison": 1, "edit": 1, "jury_invitation": 1, "note_rating": 1, "rating": 1, "vouch": 1}
    assert other.dropped == {
        "an id that stands for another act": 1,
        "an id that stands for other words": 1,
        "a retraction of somebody else's act": 1,
        "the same act twice in this file": 1,
    }
    assert is_balanced(other)
    log.index.sync()
    assert log.index.get_note("note-1").actor == log.store.events.entries()[2].event["actor"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 5000, "not JSON"),
        ("[]", "malformed"),
        ("{}", "unknown kind"),
        ({"kind": "praise", "actor": "a"}, "unknown kind"),
        ({"kind": ["rating"], "actor": "a"}, "unknown kind"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 0.7}, "a rating that is not 0, 0.5 or 1"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": "many"}, "malformed"),
        ('{"kind": "rating", "actor": "a", "item": "x", "value": NaN}', "a rating that is not 0, 0.5 or 1"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 10**400}, "malformed"),
        ({"kind": "rating", "item": "x", "value": 1}, "malformed"),
        ({"kind": "rating", "actor": 5, "item": "x", "value": 1}, "malformed"),
        ({"kind": "rating", "actor": "a", "value": 1}, "malformed"),
        ({"kind": "rating", "actor": "a", "item": "x\u0000", "value": 1}, "malformed"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 1, "mood": "good"}, "malformed"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 1, "tags": ["Bob is wrong"]}, "malformed"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 1, "id": "a b"}, "malformed"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 1, "created_utc": "2026-01-01"}, "malformed"),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 1, "created_utc": "0001-01-01T00:00:00+10:00"}, "malformed"),
        (
            {"kind": "rating", "actor": "a", "item": "x", "value": 1, "created_utc": "2999-01-01T00:00:00Z"},
            "a time in the future",
        ),
        ({"kind": "rating", "actor": "a", "item": "x", "value": 1, "text": "words"}, "malformed"),
        ({"kind": "comparison", "actor": "a", "left": "x", "right": "x", "outcome": "tie"}, "malformed"),
        ({"kind": "comparison", "actor": "a", "left": "x", "right": "y", "outcome": "both"}, "malformed"),
        ({"kind": "removal", "actor": "a", "event": "x", "reason": ""}, "malformed"),
        ({"kind": "jury_invitation", "actor": "a", "item": "x", "jurors": "b"}, "malformed"),
        ('{"kind": "rating", "actor": "\\ud800", "item": "x", "value": 1}', "malformed"),
        ({"kind": "text", "id": "x", "content": "words"}, "malformed"),
        ({"kind": "text", "id": "x", "content": {}, "salt": "no hex"}, "malformed"),
        ({"kind": "text", "id": "x", "content": {}, "text_kind": "note"}, "words without the act that they belong to"),
        ({"kind": "retraction", "actor": "a", "event": "nothing"}, "a retraction of nothing that is here"),
        ({"kind": "retraction", "actor": "a", "event": "mine"}, "a retraction of somebody else's act"),
        (
            {"kind": "status_change", "actor": "yearling", "item": "x", "status": "helpful"},
            "a status that another installation found",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_unusable_line_is_dropped_with_its_reason(log: FeedbackLog, tmp_path: Path, line: Any, reason: str) -> None:
    good = {"kind": "rating", "id": "mine", "actor": "somebody", "item": "x", "value": 1}
    report = import_feedback_file(log.store, write_lines(tmp_path / "f.jsonl", [good, line]), "jsonl")
    assert report.dropped == {reason: 1}
    assert report.kept == {"rating": 1}
    assert is_balanced(report)
    assert [(example.line, example.reason) for example in report.examples] == [(2, reason)]
    run_and_record(log.store, log.index)


def test_id_of_another_act_is_dropped(log: FeedbackLog, tmp_path: Path) -> None:
    line = {"kind": "rating", "id": "r1", "actor": "a", "item": "x", "value": 1}
    path = write_lines(tmp_path / "f.jsonl", [line, {**line, "value": 0}, line])
    report = import_feedback_file(log.store, path, "jsonl")
    assert report.dropped == {"an id that stands for another act": 1, "the same act twice in this file": 1}
    report = import_feedback_file(log.store, write_lines(tmp_path / "f.jsonl", [{**line, "value": 0}]), "jsonl")
    assert report.dropped == {"an id that stands for another act": 1}
    assert is_balanced(report)


def test_import_does_not_restore_deleted_texts(log: FeedbackLog, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "f.jsonl", LINES)
    import_feedback_file(log.store, path, "jsonl")
    before = tmp_path / "before.jsonl"
    before.write_bytes(export_log(log))
    log.store.texts.delete("note-1", actor="test")
    for file in (path, before):
        import_feedback_file(log.store, file, "jsonl")
        with pytest.raises(NotFound):
            log.store.texts.get("note-1")


def test_other_text_under_a_known_id_is_dropped(log: FeedbackLog, tmp_path: Path) -> None:
    import_feedback_file(log.store, write_lines(tmp_path / "f.jsonl", LINES), "jsonl")
    lines = [
        {"kind": "text", "id": "answer-1", "content": {"text": "Eight."}},
        {"kind": "note", "actor": "a", "item": "answer-1", "note": "n2", "text_sha256": "ab" * 32},
        {"kind": "text", "id": "n2", "text_kind": "note", "content": {"text": "not those"}},
    ]
    report = import_feedback_file(log.store, write_lines(tmp_path / "g.jsonl", lines), "jsonl")
    assert report.dropped == {"a text whose id stands for other words": 1, "words that are not those of their act": 1}
    assert report.kept == {"note": 1}
    assert is_balanced(report)


@pytest.mark.slow
def test_export_starts_and_continues_the_same_log_elsewhere(log: FeedbackLog, tmp_path: Path) -> None:
    ada = log.store.people.add("Ada").id
    append_events(log, simulate_events())
    log.add_note(ada, "i1", "words")
    run_and_record(log.store, log.index)
    first = tmp_path / "first.jsonl"
    first.write_bytes(export_log(log))
    log.rate(ada, "i1", 1)
    run_and_record(log.store, log.index)
    second = tmp_path / "second.jsonl"
    second.write_bytes(export_log(log))
    with open_feedback_log(tmp_path / "other") as other:
        assert not import_feedback_file(other.store, first, "jsonl").dropped
        assert export_log(other) == first.read_bytes()
        report = import_feedback_file(other.store, second, "jsonl")
        assert not report.dropped
        assert is_balanced(report)
        assert export_log(other) == second.read_bytes()
        assert run_and_record(other.store, other.index).snapshot.hash
    with open_feedback_log(tmp_path / "foreign") as foreign:
        own_answer = add_answers(foreign, foreign.store.people.owner().id, 1)[0]
        foreign.rate(foreign.store.people.owner().id, own_answer, 1)
        report = import_feedback_file(foreign.store, first, "jsonl")
        assert set(report.dropped) == {"a status that another installation found", "an admission by another installation"}
        assert report.kept["rating"] > 100


def test_changed_or_truncated_export_is_rejected(log: FeedbackLog, tmp_path: Path) -> None:
    append_events(log, simulate_events(num_raters=5))
    lines = [line for line in export_log_lines(log.store) if b'"kind":"text"' not in line]
    with open_feedback_log(tmp_path / "other") as other:
        for broken in (lines[:-1], [lines[0], *lines[2:]], [lines[0], lines[1].replace(b'"value":1.0', b'"value":0.0')]):
            path = tmp_path / "broken.jsonl"
            path.write_bytes(b"".join(broken))
            with pytest.raises(Untrusted, match="incomplete or was changed"):
                import_feedback_file(other.store, path, "jsonl")
        path.write_bytes(lines[0].replace(b'"version":1', b'"version":2'))
        with pytest.raises(BadInput, match="version 2"):
            import_feedback_file(other.store, path, "jsonl")
        assert other.store.events.head().sequence == 0
    with pytest.raises(NotFound):
        import_feedback_file(log.store, tmp_path / "missing", "jsonl")


NAMES = st.text(alphabet="abcé 你🐣\u200b/'\"", min_size=1, max_size=12)
TAGS = st.lists(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,5}", fullmatch=True), max_size=3)
TIMES = st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2025, 1, 1)).map(
    lambda moment: moment.replace(tzinfo=UTC).isoformat()
)
WORDS = st.text(min_size=1, max_size=30).filter(str.strip)
ACTS = st.one_of(
    st.fixed_dictionaries(
        {"kind": st.just("rating"), "item": NAMES, "value": st.sampled_from([0, 0.5, 1]), "tags": TAGS, "created_utc": TIMES}
    ),
    st.fixed_dictionaries({"kind": st.just("note_rating"), "item": NAMES, "value": st.sampled_from([0, 0.5, 1])}),
    st.tuples(NAMES, NAMES)
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: {"kind": "comparison", "left": pair[0], "right": pair[1], "outcome": "tie"}),
    st.fixed_dictionaries({"kind": st.just("note"), "item": NAMES, "text": WORDS}),
    st.fixed_dictionaries({"kind": st.just("edit"), "item": NAMES, "text": WORDS, "created_utc": TIMES}),
    st.fixed_dictionaries({"kind": st.just("removal"), "event": NAMES, "reason": WORDS}),
    st.fixed_dictionaries({"kind": st.just("vouch"), "account": NAMES, "person": NAMES}),
    st.fixed_dictionaries({"kind": st.just("jury_invitation"), "item": NAMES, "jurors": st.lists(NAMES, max_size=3)}),
)


@pytest.mark.slow
@given(acts=st.lists(st.tuples(NAMES, ACTS), max_size=8), content=st.dictionaries(st.text(max_size=5), st.text(max_size=9)))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_round_trip_loses_nothing(tmp_path_factory: pytest.TempPathFactory, acts: list[Any], content: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("trip")
    lines: list[Any] = [{**act, "actor": actor} for actor, act in acts]
    lines.append({"kind": "text", "id": "an answer", "content": content})
    with open_feedback_log(folder / "a") as origin, open_feedback_log(folder / "b") as copy:
        report = import_feedback_file(origin.store, write_lines(folder / "in.jsonl", lines), "jsonl")
        assert is_balanced(report)
        first = export_log(origin)
        (folder / "out.jsonl").write_bytes(first)
        report = import_feedback_file(copy.store, folder / "out.jsonl", "jsonl")
        assert (report.dropped, report.already_there) == ({}, 0)
        assert export_log(copy) == first
        # An export repeated in one file, without its header, is still one log.
        (folder / "twice.jsonl").write_bytes(first.partition(b"\n")[2] * 2)
        assert import_feedback_file(copy.store, folder / "twice.jsonl", "jsonl").num_kept == 0
        assert export_log(copy) == first


DIALOGUE = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: How are you?\n\nAssistant:"


def test_imports_preference_pairs_in_three_forms(log: FeedbackLog, tmp_path: Path) -> None:
    rows = [
        {"chosen": f"{DIALOGUE} Fine.", "rejected": f"{DIALOGUE} Bad."},
        {"prompt": "Say hi", "chosen": "Hi", "rejected": "No", "annotator": "zoe"},
        {
            "chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}],
            "rejected": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "B"}],
        },
        {"chosen": f"{DIALOGUE} Fine.", "rejected": f"{DIALOGUE} Bad."},
        {"chosen": f"{DIALOGUE} Same.", "rejected": f"{DIALOGUE} Same."},
        {"chosen": f"{DIALOGUE} Fine.", "rejected": "\n\nHuman: Other\n\nAssistant: No."},
        {"chosen": f"{DIALOGUE}", "rejected": f"{DIALOGUE} No."},
        {"chosen": "no turns", "rejected": "none"},
        {"chosen": "\n\nAssistant: Hi", "rejected": "\n\nAssistant: Ho"},
        {"chosen": "\n\nHuman: Hi", "rejected": "\n\nHuman: Ho"},
        {"prompt": [], "chosen": "x", "rejected": "y"},
        {"prompt": "p", "chosen": [{"role": "assistant"}], "rejected": "y"},
        {"chosen": "x"},
        "nonsense",
        "[1]",
    ]
    report = import_feedback_file(log.store, write_lines(tmp_path / "pairs.jsonl", rows), "pairs")
    assert report.kept == {"comparison": 3}
    assert report.dropped == {
        "the same act twice in this file": 1,
        "the two answers are the same": 1,
        "the two are not answers to the same prompt": 1,
        "an empty answer": 1,
        "a dialogue without turns": 1,
        "a dialogue without a prompt": 1,
        "a dialogue without an answer at its end": 1,
        "a prompt that is neither text nor messages": 1,
        "a message without role or content": 1,
        "a row without chosen or rejected": 1,
        "not JSON": 1,
        "a row that is no object": 1,
    }
    assert is_balanced(report)
    assert (report.raters, report.items, report.texts) == (2, 6, 6)
    event = log.store.events.entries()[0].event
    assert event["outcome"] == "left"
    assert log.store.texts.get(event["left"]).content == {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello."},
            {"role": "user", "content": "How are you?"},
        ],
        "text": "Fine.",
    }


def test_each_annotator_is_a_separate_rater(log: FeedbackLog, tmp_path: Path) -> None:
    base = {"instruction": "Do", "input": "this", "response1": "a", "response2": "b"}
    rows = [
        {**base, "annotator1": 1, "annotator2": 2, "annotator3": 0},
        {**base, "input": "", "annotator1": "1", "annotator2": 3, "annotator3": None, "annotator4": True},
        {**base, "annotator1": "²", "annotator2": "9" * 5000},
        {**base, "response2": "a", "annotator1": 1},
        {**base, "response2": " ", "annotator1": 1},
        {"response1": "a", "response2": "b", "annotator1": 1},
        base,
    ]
    path = tmp_path / "set.json"
    path.write_text(json.dumps(rows))
    report = import_feedback_file(log.store, path, "annotators")
    assert report.kept == {"comparison": 4}
    assert report.dropped == {
        "a label that is not 0, 1 or 2": 4,
        "an annotator without a label": 1,
        "the two answers are the same": 1,
        "an empty answer": 1,
        "a row without a prompt": 1,
        "a row without annotators": 1,
    }
    assert is_balanced(report)
    events = [entry.event for entry in log.store.events.entries() if entry.event["kind"] == "comparison"]
    assert [event["outcome"] for event in events] == ["left", "right", "tie", "left"]
    assert events[0]["actor"] == events[3]["actor"]
    assert len({event["actor"] for event in events}) == 3
    (tmp_path / "cut.json").write_text(json.dumps(rows)[:-5])
    with pytest.raises(BadInput, match="not JSON"):
        import_feedback_file(log.store, tmp_path / "cut.json", "annotators")


def test_lines_without_a_time_keep_their_order(log: FeedbackLog, tmp_path: Path) -> None:
    started_utc = datetime.now(UTC)
    lines = [{"kind": "rating", "actor": "a", "item": f"x{number}", "value": 1} for number in range(50)]
    import_feedback_file(log.store, write_lines(tmp_path / "f.jsonl", lines), "jsonl")
    times = [datetime.fromisoformat(entry.event["created_utc"]) for entry in log.store.events.entries()]
    assert times == sorted(set(times))
    assert started_utc - timedelta(seconds=1) < times[0]
    assert times[-1] <= datetime.now(UTC)


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data are not here (YEARLING_SHARED_DATA)")
@pytest.mark.parametrize(
    ("file", "format", "records", "kept"),
    [("pandalm/testset-v1.json", "annotators", 2997, 2817), ("hh_rlhf_harmless/test.jsonl", "pairs", 2312, 2303)],
)
def test_imports_published_data_sets(log: FeedbackLog, file: str, format: Any, records: int, kept: int) -> None:
    report = import_feedback_file(log.store, DATA / file, format)
    assert (report.records, report.num_kept) == (records, kept)
    assert is_balanced(report)
    assert import_feedback_file(log.store, DATA / file, format).already_there == kept
    snapshot = run_and_record(log.store, log.index).snapshot
    num_lessons = sum(pair.weight > 0 for pair in snapshot.pairs)
    assert num_lessons > 0.9 * len(snapshot.pairs), "annotators of a data set count, however few"


def test_halves_of_surrogate_pairs_in_texts_become_replacement_characters(log: FeedbackLog, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "pairs.jsonl", [{"prompt": "Cut \ud83d", "chosen": "a \ude00", "rejected": "b"}])
    assert import_feedback_file(log.store, path, "pairs").num_kept == 1
    assert import_feedback_file(log.store, path, "pairs").already_there == 1
    exported = export_log(log)
    assert "\ufffd".encode() in exported or b"\\ufffd" in exported
    assert b"\\ud83d" not in exported


def test_halves_of_surrogate_pairs_in_acts_and_texts_are_mended(log: FeedbackLog, tmp_path: Path) -> None:
    rows = [
        {
            "kind": "text",
            "id": "answer-1",
            "content": {"messages": [{"role": "user", "content": "\ud83d"}], "text": "\ud83d\ude00 \ude00"},
        },
        {"kind": "note", "actor": "ann", "item": "answer-1", "note": "note-1", "text": "Cut \ud83d"},
        {"kind": "rating", "id": "r1", "actor": "ben", "item": "answer-1", "value": 0},
        {"kind": "removal", "actor": "ann", "event": "r1", "reason": "Cut \ud83d"},
    ]
    report = import_feedback_file(log.store, write_lines(tmp_path / "cut\udce9.jsonl", rows), "jsonl")
    assert (report.num_kept, report.dropped, report.source) == (4, {}, "cut\ufffd")
    assert log.store.texts.get("answer-1").content == {"messages": [{"role": "user", "content": "\ufffd"}], "text": "😀 \ufffd"}
    assert log.store.texts.get("note-1").content == {"text": "Cut \ufffd"}
    reasons = [entry.event["reason"] for entry in log.store.events.entries() if entry.event["kind"] == "removal"]
    assert reasons == ["Cut \ufffd"]
    assert import_feedback_file(log.store, tmp_path / "cut\udce9.jsonl", "jsonl").already_there == 4
