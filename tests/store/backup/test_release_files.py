"""Backups contain the folder of releases: of the same moment as the database, and restored together with it."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.release.conftest import Installation, opened
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, Unavailable, Untrusted
from yearling.files.locks import exclusive_lock
from yearling.loop import verify_audit
from yearling.release import ReleaseAuthority
from yearling.store import Store, find_exposed_data, restore, verify_backup
from yearling.store.backup import archive, release_files, release_swap, snapshot
from yearling.store.backup.archive import read_backup_manifest


def content_of(folder: Path) -> dict[str, bytes]:
    """The files of a release folder that a backup is about."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()}
    return {name: path.read_bytes() for name, path in files.items() if name not in ("lock", "stop.lock")}


def faults_of(data_dir: Path) -> list[str]:
    """What is wrong with an installation: its audit, its problem, its stored data."""
    with opened(data_dir) as installation:
        state = installation.authority.state()
        report = verify_audit(installation.store, installation.folder)
        stored = [check.detail for check in installation.store.verify().checks if not check.ok]
        return [fault.sentence for fault in report.faults] + ([state.problem] if state.problem else []) + stored


def champion_of(data_dir: Path) -> int | None:
    with opened(data_dir) as installation:
        return installation.authority.state().champion


def backup(installation: Installation, name: str, **options: Any) -> Path:
    path = installation.data_dir.parent / f"{name}.tar.gz"
    installation.store.backup(path, **options)
    return path


@pytest.mark.slow
def test_restored_releases_equal_the_original(quorum: Installation, tmp_path: Path) -> None:
    quorum.sign(quorum.sign(quorum.change("promote", quorum.release("one")), "Ann"), "Bea")
    quorum.change("rollback")
    quorum.authority.stop("one", actor="ann", reason="bad")
    quorum.authority.refresh()
    before = content_of(quorum.folder)
    path = backup(quorum, "full")
    manifest = read_backup_manifest(path)
    assert {name.removeprefix("release/") for name in manifest.release_files} == set(before)
    assert {name.split("/")[0] for name in before} == {"repository", "trusted", "pending", "keys", "stop.json"}
    assert path.stat().st_mode & 0o777 == 0o600
    assert verify_backup(path).ok

    fresh = Settings(data_dir=tmp_path / "fresh")
    assert restore(path, fresh).replaced_data is None
    assert content_of(fresh.data_dir / "release") == before
    assert faults_of(fresh.data_dir) == []
    with opened(fresh.data_dir) as restored:
        state = restored.authority.state()
        assert (state.champion, state.threshold, len(state.holders)) == (1, 2, 3)
        (pending,) = restored.authority.pending()
        assert restored.authority.stops.reason("one")
        restored.sign(restored.sign(pending, "Ann"), "Bea")
        assert restored.authority.state().champion == 0


@pytest.mark.slow
@pytest.mark.parametrize("archived", [1, 2])
def test_archive_older_or_newer_than_the_folder_is_restored_as_a_pair(alone: Installation, tmp_path: Path, archived: int) -> None:
    """Database and folder change together, whichever of the two moments is the later one."""
    paths, contents = {}, {}
    other = Settings(data_dir=tmp_path / "other")
    for number in (1, 2):
        alone.change("promote", alone.release(f"number {number}"))
        alone.authority.new_online_key()
        paths[number], contents[number] = backup(alone, str(number)), content_of(alone.folder)
    restore(paths[3 - archived], other)
    assert champion_of(other.data_dir) == 3 - archived
    replaced = restore(paths[archived], other).replaced_data
    assert replaced
    assert content_of(other.data_dir / "release") == contents[archived]
    assert faults_of(other.data_dir) == []
    assert champion_of(other.data_dir) == archived
    assert content_of(replaced / "release").keys() == contents[3 - archived].keys()
    assert champion_of(replaced) == 3 - archived, "what was replaced is a data folder too"


@pytest.mark.slow
def test_pair_is_restored_on_postgres(made_once: Path, tmp_path: Path, postgres_server: Callable[[], str]) -> None:
    restore_from = tmp_path / "sqlite.tar.gz"
    shutil.copytree(made_once / "alone", tmp_path / "data", symlinks=True)
    with opened(tmp_path / "data") as alone:
        alone.store.backup(restore_from)
    settings = Settings(data_dir=tmp_path / "other", database_url=postgres_server())
    restore(restore_from, settings)
    with Store.open(settings) as store:
        installation = Installation(store)
        installation.draft("tiny")  # its file: a backup has no models
        installation.change("promote", installation.release("one"))
        store.backup(tmp_path / "postgres.tar.gz")
        installation.change("rollback")
    for path, champion in ((tmp_path / "postgres.tar.gz", 1), (restore_from, 0)):
        replaced = restore(path, settings).replaced_data
        assert replaced
        assert read_backup_manifest(replaced).private_keys, "on Postgres, what was replaced is a backup"
        with Store.open(settings) as store:
            assert Installation(store).authority.state().champion == champion
            assert verify_audit(store, settings.data_dir / "release").ok


@pytest.mark.slow
def test_restored_and_replaced_releases_are_private(alone: Installation) -> None:
    path, data_dir = backup(alone, "full"), alone.data_dir
    alone.change("promote", alone.release("one"))
    alone.store.close()
    for models in (data_dir / "models").rglob("*"):
        models.chmod(0o700)  # the example's own files
    (data_dir / "models").chmod(0o700)
    settings = Settings(data_dir=data_dir)
    restore(path, settings)
    champion_of(data_dir)
    assert find_exposed_data(settings).examples == []
    key = next((data_dir / "release" / "keys").iterdir())
    key.chmod(0o640)
    assert find_exposed_data(settings).examples == [key]


@pytest.mark.slow
def test_backup_without_keys_leaves_those_of_the_machine(alone: Installation, tmp_path: Path) -> None:
    path = backup(alone, "public", with_keys=False)
    manifest = read_backup_manifest(path)
    assert manifest.release_files
    assert manifest.private_keys == []
    fresh, data_dir = Settings(data_dir=tmp_path / "fresh"), alone.data_dir
    restore(path, fresh)
    assert not (fresh.data_dir / "release" / "keys").exists()
    assert faults_of(fresh.data_dir) == []
    assert champion_of(fresh.data_dir) == 0

    keys = content_of(alone.folder / "keys")
    alone.change("promote", alone.release("one"))
    alone.store.close()
    restore(path, Settings(data_dir=data_dir))
    assert content_of(data_dir / "release" / "keys") == keys
    with opened(data_dir) as restored:
        assert restored.authority.state().champion == 0
        restored.change("promote", restored.release("two"))  # signed with the key that stayed
        assert restored.authority.state().champion == 1


@pytest.mark.slow
def test_archive_without_releases_leaves_none(alone: Installation, tmp_path: Path) -> None:
    """An older backup, in the older format: its database knows nothing of the releases on disk."""
    with Store.open(Settings(data_dir=tmp_path / "old")) as store:
        store.people.add("Ann")
        store.backup(tmp_path / "old.tar.gz")
    assert read_backup_manifest(tmp_path / "old.tar.gz").version == 1
    data_dir, before = alone.data_dir, content_of(alone.folder)
    alone.store.close()
    replaced = restore(tmp_path / "old.tar.gz", Settings(data_dir=data_dir)).replaced_data
    assert not (data_dir / "release").exists()
    assert replaced
    assert content_of(replaced / "release") == before
    with opened(data_dir) as restored:
        restored.bootstrap()
    assert faults_of(data_dir) == []


@pytest.mark.slow
def test_backup_before_a_migration_has_no_releases_and_touches_none(alone: Installation, tmp_path: Path) -> None:
    path = alone.store._backup_before_migration("17")
    assert (read_backup_manifest(path).version, read_backup_manifest(path).release_files) == (1, [])
    before, data_dir = content_of(alone.folder), alone.data_dir
    alone.store.close()
    restore(path, Settings(data_dir=data_dir))
    assert content_of(data_dir / "release") == before
    assert faults_of(data_dir) == []


# The same moment


@pytest.mark.slow
def test_publication_during_the_snapshot_is_copied_with_its_database(
    alone: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change is published after the copy of the folder and before that of the database: both are made again."""
    calls: list[int] = []
    take = snapshot.take_snapshot

    def publish_first(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            alone.change("promote", alone.release("one"))
        take(*arguments)

    monkeypatch.setattr(release_files, "take_snapshot", publish_first)
    path = backup(alone, "busy")
    assert len(calls) == 2
    restore(path, Settings(data_dir=tmp_path / "fresh"))
    assert champion_of(tmp_path / "fresh") == 1
    assert faults_of(tmp_path / "fresh") == []


@pytest.mark.slow
def test_folder_that_always_changes_is_copied_under_the_lock(
    alone: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[bool] = []
    take = snapshot.take_snapshot

    def stop_first(*arguments: Any) -> None:
        try:
            with exclusive_lock(alone.folder / "lock", timeout_s=0):
                held.append(False)
        except Exception:
            held.append(True)
        alone.authority.stops.stop("one", actor="ann", reason=str(len(held)))
        take(*arguments)

    monkeypatch.setattr(release_files, "take_snapshot", stop_first)
    path = backup(alone, "busy")
    assert held == [False, False, False, True]
    restore(path, Settings(data_dir=tmp_path / "fresh"))
    assert faults_of(tmp_path / "fresh") == []


def test_lock_that_is_held_for_long_is_an_error(
    installation: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installation.folder.mkdir()
    monkeypatch.setattr(release_files, "_LOCK_TIMEOUT_S", 0.0)
    with exclusive_lock(installation.folder / "lock"), pytest.raises(Unavailable, match="held the releases"):
        backup(installation, "held")
    assert not (tmp_path / "held.tar.gz").exists()


# What a folder or an archive may contain


def test_links_locks_and_temporary_files_are_left_out(installation: Installation, tmp_path: Path) -> None:
    keys = installation.folder / "keys"
    keys.mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (keys / "link.pem").symlink_to(tmp_path / "secret")
    (installation.folder / "pending").symlink_to(tmp_path)
    for name in ("keys/.new-1", "keys/key.pem", "lock", "stop.lock"):
        (installation.folder / name).write_text("x")
    assert read_backup_manifest(backup(installation, "links")).release_files == ["release/keys/key.pem"]


def test_strange_or_too_large_files_are_refused(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = installation.folder / "keys"
    folder.mkdir(parents=True)
    (folder / "my key.pem").write_text("x")
    with pytest.raises(BadInput, match=r"my key\.pem"):
        backup(installation, "strange")
    (folder / "my key.pem").rename(folder / "key.pem")
    for limit, match in (
        ("MAX_RELEASE_FILE_BYTES", "larger"),
        ("MAX_RELEASE_BYTES", "together"),
        ("MAX_RELEASE_FILES", "more than"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(release_files, limit, 0)
            with pytest.raises(Conflict, match=match):
                backup(installation, "large")


@pytest.fixture
def small(installation: Installation) -> Path:
    """A backup with one file in the folder of releases."""
    (installation.folder / "keys").mkdir(parents=True)
    (installation.folder / "keys" / "key.pem").write_text("x")
    return backup(installation, "small")


def forge(path: Path, add: dict[str, tuple[int, str]], *, link: str = "", **changes: object) -> Path:
    """A copy of a backup with other members of one byte, listed as given (size, SHA-256); `link` is written as a link."""
    target = path.with_name("forged.tar.gz")
    with tarfile.open(path) as source, tarfile.open(target, "w:gz") as tar:
        for member in source:
            content = source.extractfile(member)
            assert content
            data = content.read()
            if member.name == "manifest.json":
                manifest = json.loads(data)
                data = json.dumps({**manifest, "files": manifest["files"] | add, **changes}).encode()
                member.size = len(data)
            if member.name == link:
                member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
            tar.addfile(member, io.BytesIO(data))
        for name in add:
            info = tarfile.TarInfo(name)
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    return target


X = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"


@pytest.mark.parametrize(
    "name",
    [
        "release/../evil",
        "release/keys/../../evil",
        "release/keys//evil",
        "release/keys/.hidden",
        "release/lock",
        "release/evil/file",
        "release/keys",
        "release/keys/key.pem/evil",
        "release/keys/a\\b",
        "release//etc/evil",
        "release/keys/evil\n",
        "release/" + "/".join(["keys", *"abcdefghi"]),
    ],
)
def test_archive_with_another_path_is_refused(small: Path, tmp_path: Path, name: str) -> None:
    forged = forge(small, {name: (1, X)})
    fresh = Settings(data_dir=tmp_path / "fresh")
    for attempt in (lambda: verify_backup(forged), lambda: restore(forged, fresh)):
        with pytest.raises(Untrusted, match="not a valid Yearling backup"):
            attempt()
    assert [path.name for path in fresh.data_dir.iterdir()] == ["store.lock"]
    assert not list(tmp_path.rglob("*evil*"))


def test_archive_above_the_limits_is_refused(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verify_backup(forge(small, {"release/keys/other": (1, X)}))  # the forgery itself is sound
    for size_bytes in (-1, release_files.MAX_RELEASE_FILE_BYTES + 1):
        with pytest.raises(Untrusted, match="larger than"):
            verify_backup(forge(small, {"release/keys/other": (size_bytes, X)}))
    monkeypatch.setattr(release_files, "MAX_RELEASE_BYTES", 1)
    with pytest.raises(Untrusted, match="together"):
        verify_backup(forge(small, {"release/keys/other": (1, X)}))
    monkeypatch.setattr(release_files, "MAX_RELEASE_FILES", 1)
    with pytest.raises(Untrusted, match="more than 1 release files"):
        verify_backup(forge(small, {"release/keys/other": (1, X)}))


def test_archive_with_a_link_or_a_changed_file_is_refused(small: Path) -> None:
    with pytest.raises(Untrusted, match=r"key\.pem"):
        verify_backup(forge(small, {}, link="release/keys/key.pem"))
    with pytest.raises(Untrusted, match="does not match"):
        verify_backup(forge(small, {"release/keys/other": (1, "0" * 64)}))
    with pytest.raises(Untrusted, match="database only"):
        verify_backup(forge(small, {}, with_blobs=False))


# Interrupted restores


def restore_in_child(path: Path, data_dir: Path, kill_at: int) -> bool:
    """Restore in a child process that dies at its n-th rename after the folder was staged. Returns whether it ended by itself."""
    child = os.fork()
    if child == 0:
        renames = [-1]

        def dying(function: Callable[..., None]) -> Callable[..., None]:
            def rename(source: Any, target: Any, **options: Any) -> None:
                if renames[0] >= 0 or Path(target).name == release_swap.SWAP_FOLDER:
                    renames[0] += 1
                    if renames[0] == kill_at:
                        os._exit(9)
                function(source, target, **options)

            return rename

        os.rename, os.replace = dying(os.rename), dying(os.replace)
        try:
            restore(path, Settings(data_dir=data_dir))
        except BaseException:
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, 9), "the restore failed"
    return code == 0


@pytest.mark.slow
@pytest.mark.parametrize("has_folder", [True, False])
def test_restore_killed_at_any_step_leaves_a_pair(alone: Installation, tmp_path: Path, has_folder: bool) -> None:
    """The next start finishes or undoes it: database and folder are both the old ones or both the new ones."""
    archive_path = backup(alone, "old")
    if not has_folder:
        with Store.open(Settings(data_dir=tmp_path / "bare")) as store:
            archive_path = tmp_path / "bare.tar.gz"
            store.backup(archive_path)
    alone.change("promote", alone.release("one"))
    alone.store.close()
    outcomes: list[int | None] = []
    for kill_at in range(20):
        data_dir = tmp_path / f"killed{kill_at}"
        shutil.copytree(alone.data_dir, data_dir, symlinks=True)
        ended = restore_in_child(archive_path, data_dir, kill_at)
        with Store.open(Settings(data_dir=data_dir)) as store:
            authority = ReleaseAuthority(data_dir / "release", store)
            has_logged = bool(store.audit.entries(actions=["release.publish"]))
            assert authority.exists() == has_logged
            outcomes.append(authority.state().champion if has_logged else None)
        assert not (data_dir / release_swap.SWAP_FOLDER).exists()
        if has_logged:
            assert faults_of(data_dir) == []
        if ended:
            break
    assert ended
    assert outcomes == sorted(outcomes, key=lambda champion: champion != 1), "once the database is replaced, all is"
    assert (outcomes[0], outcomes[-1]) == (1, 0 if has_folder else None)
    assert len(outcomes) > 4


@pytest.mark.slow
def test_next_restore_settles_a_killed_one(alone: Installation, tmp_path: Path) -> None:
    first = backup(alone, "first")
    alone.change("promote", alone.release("one"))
    second, data_dir = backup(alone, "second"), alone.data_dir
    alone.store.close()
    assert not restore_in_child(first, data_dir, 3)
    assert (data_dir / release_swap.SWAP_FOLDER).exists()
    restore(second, Settings(data_dir=data_dir))
    assert not (data_dir / release_swap.SWAP_FOLDER).exists()
    assert champion_of(data_dir) == 1
    assert faults_of(data_dir) == []


def test_failing_replacement_keeps_the_old_pair(installation: Installation, small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data_dir = installation.data_dir
    (installation.folder / "keys" / "key.pem").write_text("newer")
    installation.store.audit.append("ann", "test", "later")
    installation.store.close()

    def fail(*arguments: object) -> None:
        raise Untrusted("broken")

    monkeypatch.setattr("yearling.store.backup.restore._install", fail)
    with pytest.raises(Untrusted, match="broken"):
        restore(small, Settings(data_dir=data_dir))
    assert (data_dir / "release" / "keys" / "key.pem").read_text() == "newer"
    assert not (data_dir / release_swap.SWAP_FOLDER).exists()
    with Store.open(Settings(data_dir=data_dir)) as store:
        assert [entry.subject for entry in store.audit.entries()][-1] == "later"


def test_damaged_note_of_an_interrupted_restore_is_an_error(installation: Installation) -> None:
    data_dir = installation.data_dir
    installation.store.close()
    (data_dir / release_swap.SWAP_FOLDER).mkdir()
    (data_dir / release_swap.SWAP_FOLDER / "expected.json").write_text("[]")
    with pytest.raises(Untrusted, match="interrupted restore"):
        Store.open(Settings(data_dir=data_dir))


def test_format_version_is_the_lowest_that_can_hold_the_content(installation: Installation, small: Path, tmp_path: Path) -> None:
    assert (archive.BACKUP_FORMAT_VERSION, read_backup_manifest(small).version) == (2, 2)
    shutil.rmtree(installation.folder)
    assert read_backup_manifest(backup(installation, "bare")).version == 1
