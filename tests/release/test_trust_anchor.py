"""Where trust begins: the trusted root, and the audit log that knows its hash when the folder is damaged, deleted or replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.release.conftest import Installation, opened
from yearling.errors import Untrusted
from yearling.store import Store


def generation(installation: Installation) -> Path:
    return max((installation.folder / "trusted").glob("0*"))


@pytest.mark.parametrize("damage", ["delete all", "delete generation", "empty root", "flip root", "delete root", "dangling link"])
def test_damaged_trusted_root_is_found_by_its_hash_in_the_audit_log(quorum: Installation, damage: str) -> None:
    before = quorum.authority.state()
    newest = sorted((generation(quorum) / "root_history").glob("*.json"))[-1]
    match damage:
        case "delete all":
            shutil.rmtree(quorum.folder / "trusted")
        case "delete generation":
            shutil.rmtree(generation(quorum))
        case "empty root":
            for path in newest.parent.glob("*.json"):
                path.write_bytes(b"")
        case "flip root":
            newest.write_bytes(newest.read_bytes().replace(b'"threshold":2', b'"threshold":1'))
        case "delete root":
            shutil.rmtree(newest.parent)
        case _:
            (newest.parent.parent / "root.json").unlink()
            (newest.parent.parent / "root.json").symlink_to("nowhere")
    state = quorum.reopen().state()
    assert (state.champion, state.version, state.holders, state.problem) == (before.champion, before.version, before.holders, "")
    assert quorum.authority.exists()


def test_root_of_a_stranger_is_not_trusted(quorum: Installation, tmp_path: Path) -> None:
    """Somebody replaces what is published and what is trusted by their own, complete installation."""
    before = quorum.authority.state()
    with Store.open(quorum.store.settings.model_copy(update={"data_dir": tmp_path / "other"})) as store:
        other = Installation(store)
        other.bootstrap()
        for name in ("repository", "trusted"):
            shutil.rmtree(quorum.folder / name)
            shutil.copytree(other.folder / name, quorum.folder / name, symlinks=True)
    with pytest.raises(Untrusted, match="not the one that the audit log names"):
        quorum.reopen().state()
    with pytest.raises(Untrusted):
        quorum.authority.may_load(quorum.weights("tiny"), "ab" * 32)
    assert before.champion == 0


def test_trusted_folder_of_a_stranger_alone_is_replaced(quorum: Installation, tmp_path: Path) -> None:
    before = quorum.authority.state()
    with Store.open(quorum.store.settings.model_copy(update={"data_dir": tmp_path / "other"})) as store:
        other = Installation(store)
        other.bootstrap()
        shutil.rmtree(quorum.folder / "trusted")
        shutil.copytree(other.folder / "trusted", quorum.folder / "trusted", symlinks=True)
    state = quorum.reopen().state()
    assert (state.champion, state.version, state.holders) == (before.champion, before.version, before.holders)


def test_nothing_left_of_either_is_an_error_that_says_what_to_do(quorum: Installation) -> None:
    for path in (quorum.folder / "repository").glob("*.root.json"):
        path.unlink()
    shutil.rmtree(generation(quorum) / "root_history")
    with pytest.raises(Untrusted, match="Restore the folder"):
        quorum.reopen().state()


def test_champion_is_served_from_memory_of_the_disk_when_the_repository_is_gone(quorum: Installation) -> None:
    before = quorum.authority.state()
    shutil.rmtree(quorum.folder / "repository")
    state = quorum.reopen().state()
    assert (state.champion, state.version) == (before.champion, before.version)
    assert state.problem
    quorum.authority.renew_online()
    assert quorum.authority.state().problem == ""


def test_records_of_releases_have_three_copies(alone: Installation) -> None:
    before = alone.authority.state().releases
    shutil.rmtree(alone.folder / "repository" / "targets")
    shutil.rmtree(alone.folder / "trusted" / "targets")
    assert alone.reopen().state().releases == before, "the third copy is in the database"
    with opened(alone.data_dir) as other:
        assert other.authority.state().releases == before


def test_data_folder_that_moved_is_the_same_installation(alone: Installation, tmp_path: Path) -> None:
    alone.store.close()
    moved = Path(shutil.move(alone.data_dir, tmp_path / "moved"))
    with opened(moved) as there:
        state = there.authority.state()
        assert (state.champion, state.problem) == (0, "")
        file = state.releases[0].files[0]
        there.authority.may_load(moved / file.path, file.sha256)
        with pytest.raises(Untrusted):
            there.authority.may_load(moved / file.path, "ab" * 32)
