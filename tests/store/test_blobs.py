"""Blobs: content addressing, damage, references and garbage collection."""

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


def test_bytes_and_files_are_stored_under_their_hash(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert store.blobs.put(tmp_path / "file") == SHA256
    assert store.blobs.get(SHA256) == CONTENT
    assert store.blobs.path(SHA256).read_bytes() == CONTENT
    assert store.blobs.path(SHA256).relative_to(store.blobs.folder) == Path(SHA256[:2]) / SHA256
    assert store.blobs.put(b"") == hashlib.sha256(b"").hexdigest()
    assert store.blobs.get(hashlib.sha256(b"").hexdigest()) == b""


def test_equal_content_is_stored_once(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(CONTENT)
    assert {store.blobs.put(CONTENT), store.blobs.put(tmp_path / "file"), store.blobs.put(CONTENT)} == {SHA256}
    assert files_in(store.blobs.folder) == [SHA256]
    assert list(store.blobs.iter_sizes()) == [(SHA256, len(CONTENT))]


def test_concurrent_puts_of_the_same_content_store_one_blob(store: Store) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: store.blobs.put(CONTENT), range(24))) == {SHA256}
    assert files_in(store.blobs.folder) == [SHA256]


def test_get_refuses_changed_blob(store: Store) -> None:
    store.blobs.put(CONTENT)
    store.blobs.path(SHA256).write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(Untrusted, match=SHA256):
        store.blobs.get(SHA256)
    report = store.verify()
    assert not report.ok
    assert SHA256 in report.checks[-1].detail


def test_put_replaces_a_damaged_blob(store: Store) -> None:
    store.blobs.put(CONTENT)
    store.blobs.path(SHA256).write_bytes(b"")
    store.blobs.put(CONTENT)
    assert store.blobs.get(SHA256) == CONTENT


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", "", "ab", SHA256.upper(), SHA256 + "\n", f"{SHA256[:-1]}/"]
)
def test_invalid_hashes_are_refused(store: Store, name: str) -> None:
    store.blobs.put(CONTENT)
    for method in (store.blobs.get, store.blobs.path, store.blobs.open, store.blobs.is_intact):
        with pytest.raises(BadInput):
            method(name)


def test_unknown_blob_raises_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.blobs.get("0" * 64)
    with pytest.raises(NotFound):
        store.blobs.add_reference("0" * 64, "document", "1")


def test_symbolic_links_are_not_followed(store: Store, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    sha256 = hashlib.sha256(b"secret").hexdigest()
    path = store.blobs.folder / sha256[:2] / sha256
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(NotFound):
        store.blobs.get(sha256)


def test_put_refuses_files_that_are_not_regular(store: Store, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(BadInput, match="regular"):
            store.blobs.put(path)
    with pytest.raises(NotFound):
        store.blobs.put(tmp_path / "missing")
    assert files_in(store.blobs.folder) == []


def test_garbage_collection_keeps_referenced_blobs(store: Store) -> None:
    referenced_twice, referenced_once, unreferenced = (store.blobs.put(text) for text in (b"twice", b"once", b"never"))
    store.blobs.add_reference(referenced_twice, "document", "1")
    store.blobs.add_reference(referenced_twice, "document", "1")
    store.blobs.add_reference(referenced_twice, "run", "1")
    store.blobs.add_reference(referenced_once, "document", "1")
    assert [store.blobs.count_references(sha256) for sha256 in (referenced_twice, referenced_once, unreferenced)] == [2, 1, 0]
    assert store.blobs.collect_garbage(grace_period_s=0) == [unreferenced]
    store.blobs.remove_references("document", "1")
    assert store.blobs.collect_garbage(grace_period_s=0) == [referenced_once]
    assert files_in(store.blobs.folder) == [referenced_twice]


def test_garbage_collection_keeps_young_blobs(store: Store) -> None:
    sha256 = store.blobs.put(CONTENT)
    assert store.blobs.collect_garbage() == []
    os.utime(store.blobs.path(sha256), (0, 0))
    store.blobs.put(CONTENT)  # restarts the grace period
    assert store.blobs.collect_garbage() == []
    os.utime(store.blobs.path(sha256), (0, 0))
    assert store.blobs.collect_garbage() == [sha256]


def test_garbage_collection_deletes_files_of_killed_writers(store: Store) -> None:
    sha256 = store.blobs.put(CONTENT)
    (store.blobs.folder / sha256[:2] / ".new-0123").write_bytes(b"half")
    store.blobs.collect_garbage()
    assert files_in(store.blobs.folder) == [sha256]


def test_verify_reports_missing_blob(store: Store) -> None:
    store.blobs.put(CONTENT)
    store.blobs.add_reference(SHA256, "document", "1")
    store.blobs.path(SHA256).unlink()
    report = store.verify()
    assert not report.ok
    assert f"{SHA256} is missing" in report.checks[-1].detail
