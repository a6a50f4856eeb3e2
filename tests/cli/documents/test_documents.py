"""`yearling documents`: files become findable, say what was read, and go away entirely."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fpdf import FPDF

from tests.cli.conftest import Run
from yearling.errors import BadInput, NotAllowed, NotFound
from yearling.retrieval import DocumentIndex, DocumentReader
from yearling.store import DocumentPlace, Store

pytestmark = pytest.mark.slow

HOURS = "# Opening hours\n\nWe open at nine. On Sundays we are closed.\n"


@pytest.fixture(autouse=True)
def _no_embedding_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLING_EMBEDDING_MODEL", "")


def test_file_is_found_replaced_and_removed(run_yearling: Run, tmp_path: Path, store: Store) -> None:
    path = tmp_path / "hours.md"
    path.write_text(HOURS)
    added = run_yearling("documents", "add", path)
    assert added.exit_code == 0, added.stderr
    assert added.stdout == "hours.md: 1 passage\n"
    assert "this content is there already" in run_yearling("documents", "add", path).stdout
    found = json.loads(run_yearling("documents", "search", "closed on Sunday", "--json").stdout)
    assert found["hits"][0]["text"] in HOURS
    assert "Sundays" in run_yearling("documents", "search", "closed on Sunday").stdout
    path.write_text(HOURS.replace("nine", "ten"))
    assert "new version, 1 passage\n  Sentences that changed: 1 new, 1 gone" in run_yearling("documents", "add", path).stdout
    assert "ten" in run_yearling("documents", "search", "open").stdout
    assert "Nothing matches." in run_yearling("documents", "search", "nine").stdout
    shown = json.loads(run_yearling("documents", "show", "hours.md", "--json").stdout)
    assert [version["state"] for version in shown["versions"]] == ["indexed", "indexed"]
    assert run_yearling("documents", "show", "hours.md", "--text").stdout.startswith("# Opening hours")
    assert "hours.md" in run_yearling("documents", "list").stdout
    assert run_yearling("documents", "remove", "hours.md", "--yes").stdout == "Removed.\n"
    assert "There are none yet" in run_yearling("documents", "list").stdout
    assert json.loads(run_yearling("documents", "search", "open", "--json").stdout)["hits"] == []


def test_folder_of_files_with_one_that_cannot_be_read(run_yearling: Run, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    (folder / "sub").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("hidden")
    (folder / "a.txt").write_text("The warranty lasts three years.")
    (folder / "sub" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    pdf = FPDF()
    pdf.set_font("Helvetica")
    for page in ("Page one is about apples.", "Page two is about pears."):
        pdf.add_page()
        pdf.cell(text=page)
    pdf.output(str(folder / "sub" / "c.pdf"))
    added = run_yearling("documents", "add", folder)
    assert added.exit_code == 1
    assert "a.txt: 1 passage" in added.stdout
    assert "sub/c.pdf: 2 pages, 1 passage" in added.stdout
    assert "sub/b.png" in added.stderr
    assert "image" in added.stderr
    assert json.loads(run_yearling("documents", "search", "pears", "--json").stdout)["hits"][0]["page"] in (1, 2)
    assert "not readable" in run_yearling("documents", "list").stdout
    with pytest.raises(NotFound, match="no file"):
        run_yearling("documents", "add", tmp_path / "nothing.pdf")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no files"):
        run_yearling("documents", "add", tmp_path / "empty")


def test_documents_of_a_folder_and_of_somebody_else(run_yearling: Run, tmp_path: Path, store: Store) -> None:
    ann = store.people.add("Ann").id
    store.folders.create(ann, "Trips")
    (tmp_path / "plan.txt").write_text("The train leaves at noon.")
    assert run_yearling("documents", "add", "plan.txt", "--folder", "Trips", "--as", "Ann").exit_code == 0
    assert "There are none yet" in run_yearling("documents", "list").stdout
    assert "noon" in run_yearling("documents", "search", "train", "--folder", "Trips", "--as", "Ann").stdout
    assert "Nothing matches" in run_yearling("documents", "search", "train").stdout
    with pytest.raises(NotAllowed):
        run_yearling("documents", "add", "plan.txt", "--as", "Ann")
    with pytest.raises(NotFound, match="no folder"):
        run_yearling("documents", "add", "plan.txt", "--folder", "Trips")
    with pytest.raises(NotFound):
        run_yearling("documents", "remove", "plan.txt", "--yes")


async def test_reading_goes_on_after_an_interruption(store: Store) -> None:
    """Documents that were added, and not read because the process was killed, are read by the next one."""
    owner = store.people.owner().id
    for number in range(3):
        store.documents.add(owner, f"{number}.txt", f"Text number {number}.".encode(), place=DocumentPlace())
    reader = DocumentReader(store.settings, store, DocumentIndex(store))
    assert await reader.read_waiting() == 3
    assert await reader.read_waiting() == 0
    assert [document.version.state for document in store.documents.list(owner)] == ["indexed"] * 3


def test_index_command_reads_what_waits(run_yearling: Run, store: Store) -> None:
    assert run_yearling("documents", "index").stdout == "Nothing waited.\n"
    store.documents.add(store.people.owner().id, "a.txt", b"Words.", place=DocumentPlace())
    assert run_yearling("documents", "index").stdout == "1 read.\n"
