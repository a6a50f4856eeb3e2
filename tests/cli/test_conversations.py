"""`yearling conversations`: import, list, search, delete, export, and import of the export."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.api.conversations.chat_exports import CHATGPT, OPEN_WEBUI, PNG, make_zip, zip_contents
from tests.cli.conftest import Run
from yearling.errors import Conflict, NotFound
from yearling.store import ImportLocks, Store


@pytest.fixture
def run(run_yearling: Run) -> Run:
    return partial(run_yearling, "conversations")


def test_history_is_imported_searched_exported_and_imported_again(run: Run, store: Store, tmp_path: Path) -> None:
    (tmp_path / "chatgpt.zip").write_bytes(make_zip({"conversations.json": json.dumps(CHATGPT).encode(), "file-abc.png": PNG}))
    (tmp_path / "webui.json").write_text(json.dumps(OPEN_WEBUI))
    result = json.loads(run("import", "chatgpt.zip", "--json").stdout)
    assert (result["conversations"], result["messages"], result["blobs"]) == (1, 7, 1)
    assert "not connected to its conversation" in run("import", "chatgpt.zip").stdout
    run("import", "webui.json")
    rows = json.loads(run("list", "--json").stdout)
    assert {row["title"] for row in rows} == {"Trip to Kyoto 京都", "数学"}
    assert "more than 1" in run("list", "--limit", "1").stderr
    [match] = json.loads(run("search", "京都", "--json").stdout)
    assert "Kyoto" in run("search", "temples").stdout
    assert json.loads(run("search", "nowhere", "--json").stdout) == []
    result = json.loads(run("export", "--out", "mine.zip", "--json").stdout)
    assert (result["conversations"], result["blobs"]) == (2, 1)
    with pytest.raises(Conflict):
        run("export", "--out", "mine.zip")
    assert run("delete", match["id"], typed="n\n").exit_code == 1
    deleted = json.loads(run("delete", *(row["id"] for row in rows), "--yes", "--json").stdout)
    assert sorted(row["messages"] for row in deleted) == [3, 7]
    assert json.loads(run("list", "--json").stdout) == []
    assert list(store.blobs.iter_sizes()) == []
    run("import", "mine.zip")
    run("export")
    [default_file] = tmp_path.glob("yearling-*.zip")
    assert zip_contents(default_file.read_bytes()) == zip_contents((tmp_path / "mine.zip").read_bytes())


def test_import_shares_the_limit_with_other_processes(run: Run, store: Store, tmp_path: Path) -> None:
    """What a server holds in its process keeps the command line from importing, as here what this thread holds."""
    (tmp_path / "webui.json").write_text(json.dumps(OPEN_WEBUI))
    locks = ImportLocks(store.settings.data_dir)
    with locks.reserve(store.people.owner().id), pytest.raises(Conflict, match="is running"):
        run("import", "webui.json")
    slots = [locks.try_slot(), locks.try_slot()]
    assert locks.try_slot() is None
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(run, "import", "webui.json", "--json")
        time.sleep(1)
        assert not waiting.done()
        for slot in slots:
            assert slot is not None
            slot.close()
        assert json.loads(waiting.result().stdout)["conversations"] == 1
    assert json.loads(run("import", "webui.json", "--json").stdout)["known"] == 1


def test_conversations_are_separate_per_person(run: Run, store: Store, tmp_path: Path) -> None:
    store.people.add("Ada")
    (tmp_path / "webui.json").write_text(json.dumps(OPEN_WEBUI))
    run("import", "webui.json", "--person", "Ada")
    [conversation] = json.loads(run("list", "--person", "Ada", "--json").stdout)
    assert json.loads(run("list", "--json").stdout) == []
    assert json.loads(run("search", "4", "--json").stdout) == []
    for arguments in (
        ("delete", conversation["id"], "--yes"),
        ("list", "--person", "Eve"),
        ("list", "--folder", "x"),
        ("import", "none"),
    ):
        with pytest.raises(NotFound):
            run(*arguments)
