"""`yearling correct` and `yearling corrections`, also while another process has the store open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from yearling.errors import BadInput, NotFound
from yearling.store import Store


def test_correct_acts_at_once_beside_a_running_server(run_yearling: Run, store: Store) -> None:
    owner = store.people.owner().id
    before = store.corrections.version(owner)
    result = run_yearling("correct", "When do we open?", "At 9.")
    assert result.exit_code == 0, result.stderr
    assert "in use." in result.stdout
    assert "from the next message on" in result.stdout
    assert store.corrections.version(owner) != before
    (entry,) = store.corrections.list_effective(owner)
    assert (entry.question, entry.answer, entry.origin) == ("When do we open?", "At 9.", "command")
    assert "exists already" in run_yearling("correct", "when do we open", "at 9.").stdout
    assert "replaces your earlier answer: At 9." in run_yearling("correct", "When do we open?", "At 10.").stdout
    (entry,) = store.corrections.list_effective(owner)
    assert "switched off" in run_yearling("corrections", "off", entry.id).stdout
    assert store.corrections.list_effective(owner) == []
    assert "in use" in run_yearling("corrections", "on", entry.id).stdout
    assert "At 11." in run_yearling("corrections", "edit", entry.id, "--answer", "At 11.").stdout
    history = json.loads(run_yearling("corrections", "history", entry.id, "--json").stdout)
    assert [wording["answer"] for wording in history] == ["At 10.", "At 9."]
    assert "At 10." in run_yearling("corrections", "history", entry.id).stdout
    assert run_yearling("corrections", "delete", entry.id, "--yes").stdout == "Deleted.\n"
    assert store.corrections.list(owner) == []


def test_list_as_text_and_json(run_yearling: Run) -> None:
    assert "There are none yet" in run_yearling("corrections", "list").stdout
    added = json.loads(run_yearling("correct", "Why [bold]?", "So", "--json").stdout)
    assert (added["new"], added["replaced"], added["names"]) == (True, None, [])
    listed = run_yearling("corrections", "list").stdout
    assert "[bold]?" in listed
    assert "in use" in listed
    (entry,) = json.loads(run_yearling("corrections", "list", "--json").stdout)
    assert entry["id"] == added["correction"]["id"]
    assert json.loads(run_yearling("corrections", "list", "--json", "--search", "nothing").stdout) == []
    assert "has not been changed" in run_yearling("corrections", "history", entry["id"]).stdout


def test_team_and_other_people(run_yearling: Run, store: Store) -> None:
    ada = store.people.add("Ada Byron")
    store.people.add("Ben")
    proposed = run_yearling("correct", "Who leads?", "Ada Byron does.", "--team", "--as", "Ben")
    assert "proposed to the team" in proposed.stdout
    assert "Others see these names in it: Ada Byron." in proposed.stdout
    (entry,) = json.loads(run_yearling("corrections", "list", "--team", "--json").stdout)
    assert (entry["state"], entry["person_id"]) == ("proposed", None)
    assert "team:" in run_yearling("corrections", "list", "--team").stdout
    assert json.loads(run_yearling("corrections", "list", "--json").stdout) == []
    with pytest.raises(NotFound):
        run_yearling("corrections", "off", entry["id"], "--as", ada.id)
    taken = run_yearling("corrections", "edit", entry["id"], "--me", "--as", "Ben")
    assert "in use" in taken.stdout
    with pytest.raises(BadInput, match="Nothing to change"):
        run_yearling("corrections", "edit", entry["id"])
    with pytest.raises(NotFound):
        run_yearling("correct", "x", "y", "--as", "Nobody")


def test_suggestion_is_confirmed(run_yearling: Run, store: Store) -> None:
    added = store.corrections.add(store.people.owner().id, "I write to Eva", "Mention the invoice.", kind="reminder")
    assert "suggested" in run_yearling("corrections", "list").stdout
    assert "in use" in run_yearling("corrections", "confirm", added.correction.id).stdout


def test_file_round_trip(run_yearling: Run, tmp_path: Path) -> None:
    path = tmp_path / "faq.md"
    path.write_text("## Why?\nSo, thus.\n\n## Who?\nAda\n")
    preview = run_yearling("corrections", "import", path, "--preview")
    assert "2 would be new" in preview.stdout
    assert json.loads(run_yearling("corrections", "list", "--json").stdout) == []
    assert "2 are new" in run_yearling("corrections", "import", path).stdout
    report = json.loads(run_yearling("corrections", "import", path, "--json").stdout)
    assert (report["new"], report["known"], report["entries"][0]["status"]) == (0, 2, "known")
    (first, *_) = json.loads(run_yearling("corrections", "list", "--json").stdout)
    assert first["source"] == "faq.md"
    exported = tmp_path / "mine.csv"
    assert "Wrote 2 corrections" in run_yearling("corrections", "export", exported).stdout
    assert exported.read_text().splitlines() == ["question,answer", 'Why?,"So, thus."', "Who?,Ada"]
    assert "2 known" in run_yearling("corrections", "import", exported).stdout
    path.write_text("question,answer\nWhy?\n")
    with pytest.raises(BadInput, match="no questions"):
        run_yearling("corrections", "import", path)
