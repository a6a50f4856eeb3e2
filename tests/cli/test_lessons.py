"""`yearling lessons`: build, list, show and diff."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.tasks.records import add_answer, distinct_text
from yearling.errors import BadInput, NotFound
from yearling.feedback import FeedbackLog, offer_answer
from yearling.store import Store


def write_rows(path: Path, count: int, *, first: int = 0) -> Path:
    """Write annotated pairs to a file; in every third pair, one of the annotators prefers the other answer."""
    rows = [
        {
            "instruction": f"Explain {distinct_text(number)}",
            "input": "",
            "response1": distinct_text(1000 + number),
            "response2": distinct_text(2000 + number),
            "annotator1": 1,
            "annotator2": 1,
            "annotator3": 1 if number % 3 else 2,
        }
        for number in range(first, first + count)
    ]
    path.write_text(json.dumps(rows))
    return path


@pytest.mark.slow
def test_lesson_sets_are_built_listed_shown_and_compared(run_yearling: Run, tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        run_yearling("lessons", "build")
    assert "yearling consensus run" in caught.value.advice
    assert "no lesson set yet" in run_yearling("lessons", "list").stderr
    run_yearling("feedback", "import", write_rows(tmp_path / "a.json", 30), "-f", "annotators")
    run_yearling("consensus", "run")
    result = run_yearling("lessons", "build", "--heldout-share", "0.2")
    assert result.exit_code == 0
    assert "Built version 1" in result.stdout
    assert "Of 90 judgements by 3 people" in result.stdout
    missing = result.stderr.partition("Not checked for leaks")[2].splitlines()[1:]
    assert "  ifeval: Run `yearling exam pull ifeval`" in missing
    assert any(line.startswith("  truthfulqa-mc, truthfulqa: ") for line in missing), "one line per reason"
    facts = json.loads(run_yearling("lessons", "build", "--heldout-share", "0.2", "--json").stdout)
    searched = ["abstention", "citations", "freshness", "retrieval"]
    assert (facts["version"], facts["fresh"]) == (1, False)
    assert facts["exams"] == sorted(["constraints", "corrections", "spec", *searched])
    judgements = facts["report"]["judgements"]
    assert judgements["kept"] + sum(judgements["dropped"].values()) == judgements["num_seen"] == 90
    assert "Nothing changed: this is version 1" in run_yearling("lessons", "build", "--heldout-share", "0.2").stdout

    run_yearling("feedback", "import", write_rows(tmp_path / "b.json", 5, first=50), "-f", "annotators", "--source", "a")
    run_yearling("consensus", "run")
    run_yearling("lessons", "build", "--heldout-share", "0.2", "--environment", "running_totals=3")
    rows = json.loads(run_yearling("lessons", "list", "--json").stdout)
    assert [(row["version"], row["current"], row["files"]) for row in rows] == [(1, False, True), (2, True, True)]
    assert rows[1]["previous"] == rows[0]["hash"]
    assert "current" in run_yearling("lessons", "list").stdout
    shown = run_yearling("lessons", "show", "--limit", "1").stdout
    assert "Lesson set 2" in shown
    assert "question: Explain" in shown
    assert json.loads(run_yearling("lessons", "show", "1", "--json").stdout)["hash"] == rows[0]["hash"]
    changes = json.loads(run_yearling("lessons", "diff", "--json").stdout)
    assert (changes["before"], changes["after"]) == (rows[0]["hash"], rows[1]["hash"])
    assert sum(lesson["kind"] == "prompt" for lesson in changes["came"]) == 3
    assert {lesson["kind"] for lesson in changes["came"]} >= {"pair", "prompt"}
    assert changes["went"] == []
    diff = run_yearling("lessons", "diff").stdout
    assert "From version 1" in diff
    assert any(line.split() == ["added", str(len(changes["came"]))] for line in diff.splitlines())


@pytest.mark.slow
def test_lessons_that_their_author_edited_are_counted(run_yearling: Run, store: Store) -> None:
    log = FeedbackLog(store)
    ada, ben = (store.people.add(name).id for name in ("Ada", "Ben"))
    offer = offer_answer(log, ada, add_answer(log, ada, 1), answer="Other words.").record
    log.rate(ben, offer.id, 1)
    run_yearling("consensus", "run")
    assert "Lessons from words that their author edited: 2." in run_yearling("lessons", "build", "--heldout-share", "0").stdout


@pytest.mark.slow
def test_invalid_arguments_are_rejected(run_yearling: Run, tmp_path: Path) -> None:
    for argument in ("running_totals", "running_totals=0", "=3", "running_totals=many"):
        with pytest.raises(BadInput, match="number of tasks") as caught:
            run_yearling("lessons", "build", "--environment", argument)
        assert caught.value.advice == "Use NAME=COUNT."
    with pytest.raises(BadInput, match="held-out share"):
        run_yearling("lessons", "build", "--heldout-share", "0.9")
    for command in (["show"], ["diff"]):
        with pytest.raises(NotFound) as missing:
            run_yearling("lessons", *command)
        assert "yearling lessons build" in missing.value.advice
    run_yearling("feedback", "import", write_rows(tmp_path / "a.json", 3), "-f", "annotators")
    run_yearling("consensus", "run")
    with pytest.raises(NotFound, match="environment"):
        run_yearling("lessons", "build", "--environment", "nothing_like_it=3")
    run_yearling("lessons", "build")
    with pytest.raises(BadInput, match="only one"):
        run_yearling("lessons", "diff")
    with pytest.raises(NotFound) as unknown:
        run_yearling("lessons", "show", "7")
    assert "Known versions: 1" in unknown.value.advice
