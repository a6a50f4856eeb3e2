from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from yearling.errors import BadInput, NotFound, Untrusted
from yearling.store import Store

CONTENT = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock")


def test_bytes_and_files_are_found_by_their_hash(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert store.blobs.put(tmp_path / "file") == SHA256
    assert store.blobs.get(SHA256) == CONTENT
    assert store.blobs.path(SHA256).read_bytes() == CONTENT
    assert store.blobs.path(SHA256).relative_to(store.blobs.folder) == Path(SHA256[:2]) / SHA256
    assert store.blobs.put(b"") == hashlib.sha256(b"").hexdigest()
    assert store.blobs.get(hashlib.sha256(b"").hexdigest()) == b""


def test_the_same_content_is_stored_once(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert {store.blobs.put(CONTENT), store.blobs.put(tmp_path / "file"), store.blobs.put(CONTENT)} == {SHA256}
    assert files_in(store.blobs.folder) == [SHA256]
    assert list(store.blobs.iter_sizes()) == [(SHA256, len(CONTENT))]


def test_concurrent_writers_of_the_same_content_agree(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store.blobs.put(CONTENT), range(24))) == {SHA256}
    assert files_in(store.blobs.folder) == [SHA256]


def test_a_changed_blob_is_never_returned(store: Store) -> None:
    store.blobs.put(CONTENT)
    store.blobs.path(SHA256).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(Untrusted, match=SHA256):
        store.blobs.get(SHA256)
    report = store.verify()
    assert not report.ok
    assert SHA256 in report.checks[-1].detail


def test_putting_the_content_again_mends_a_damaged_blob(store: Store) -> None:
    store.blobs.put(CONTENT)
    store.blobs.path(SHA256).write_bytes(b"")
    store.blobs.put(CONTENT)
    assert store.blobs.get(SHA256) == CONTENT


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "", "ab", SHA256.upper(), SHA256 + "\n", f"{SHA256[:-1]}/"]
)
def test_only_hashes_name_blobs(store: Store, name: str) -> None:
    store.blobs.put(CONTENT)
    for ask in (store.blobs.get, store.blobs.path, store.blobs.open, store.blobs.is_intact):
        with pytest.raises(BadInput):
            ask(name)


def test_an_unknown_blob_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.blobs.get("0" * 64)
    with pytest.raises(NotFound):
        store.blobs.add_reference("0" * 64, "document", "1")


def test_links_out_of_the_folder_are_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    sha256 = hashlib.sha256(b"secret").hexdigest()
    place = store.blobs.folder / sha256[:2] / sha256
    place.parent.mkdir(parents=True)
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(NotFound):
        store.blobs.get(sha256)


def test_only_regular_files_can_be_put(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(BadInput, match="regular"):
            store.blobs.put(path)
    with pytest.raises(NotFound):
        store.blobs.put(tmp_path / "missing")
    assert files_in(store.blobs.folder) == []


def test_only_what_nobody_needs_is_collected(store: Store) -> None:
    needed_twice, needed, unneeded = (store.blobs.put(text) for text in (b"twice", b"once", b"never"))
    store.blobs.add_reference(needed_twice, "document", "1")
    store.blobs.add_reference(needed_twice, "document", "1")
    store.blobs.add_reference(needed_twice, "run", "1")
    store.blobs.add_reference(needed, "document", "1")
    assert [store.blobs.count_references(sha256) for sha256 in (needed_twice, needed, unneeded)] == [2, 1, 0]
    assert store.blobs.collect_garbage(grace_period_s=0) == [unneeded]
    store.blobs.remove_references("document", "1")
    assert store.blobs.collect_garbage(grace_period_s=0) == [needed]
    assert files_in(store.blobs.folder) == [needed_twice]


def test_young_blobs_are_left_for_the_record_to_come(store: Store) -> None:
    sha256 = store.blobs.put(CONTENT)
    assert store.blobs.collect_garbage() == []
    os.utime(store.blobs.path(sha256), (0, 0))
    store.blobs.put(CONTENT)  # again: young again
    assert store.blobs.collect_garbage() == []
    os.utime(store.blobs.path(sha256), (0, 0))
    assert store.blobs.collect_garbage() == [sha256]


def test_what_a_killed_writer_left_is_cleared_away(store: Store) -> None:
    sha256 = store.blobs.put(CONTENT)
    (store.blobs.folder / sha256[:2] / ".new-0123").write_bytes(b"half")
    store.blobs.collect_garbage()
    assert files_in(store.blobs.folder) == [sha256]


def test_a_missing_blob_is_reported(store: Store) -> None:
    store.blobs.put(CONTENT)
    store.blobs.add_reference(SHA256, "document", "1")
    store.blobs.path(SHA256).unlink()
    report = store.verify()
    assert not report.ok
    assert f"{SHA256} is missing" in report.checks[-1].detail
