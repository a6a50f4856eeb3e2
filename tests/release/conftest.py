"""An installation with signed releases: a data folder with small models in it, a clock that tests set, and key-holders."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import IS_PATCHED
from yearling.config import Settings
from yearling.files import sync
from yearling.records import Person
from yearling.release import Change, ChangeKind, PendingChange, ReleaseAuthority, ReleaseDecision, ReleaseState, new_draft
from yearling.store import Release, Store

PASSPHRASE = "correct horse battery staple"
UNPROVEN = ReleaseDecision(override="I tried it")


@dataclass
class Clock:
    """The time that an authority sees."""

    time: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.time

    def advance(self, **duration: float) -> None:
        self.time += timedelta(**duration)


class Installation:
    """A store with a release authority."""

    def __init__(self, store: Store, on_step: Callable[[str], None] = lambda step: None) -> None:
        self.store = store
        self.data_dir = store.settings.data_dir
        self.folder = self.data_dir / "release"
        self.clock = Clock()
        self.owner = store.people.owner()
        self.authority = ReleaseAuthority(self.folder, store, now=self.clock, on_step=on_step)

    def reopen(self) -> ReleaseAuthority:
        """An authority without memory, as after a restart."""
        self.authority = ReleaseAuthority(self.folder, self.store, now=self.clock)
        return self.authority

    def weights(self, name: str) -> Path:
        """The weights of a model; its content is its name."""
        return self.data_dir / "models" / name / "model.gguf"

    def draft(self, name: str) -> Release:
        """A draft of a release of a model with one file."""
        path = self.weights(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        sha256 = hashlib.sha256(name.encode()).hexdigest()
        return new_draft(
            kind="model",
            model=name,
            model_hash=sha256,
            files={path: sha256},
            data_dir=self.data_dir,
            created_by=self.owner.id,
        )

    def release(self, name: str) -> int:
        """Store a release of a model. Returns its number."""
        return self.store.releases.create(self.draft(name)).number

    def bootstrap(self) -> ReleaseState:
        """Sign release 0."""
        return self.authority.bootstrap(self.draft("tiny"), self.owner)

    def change(self, kind: ChangeKind, release: int | None = None, *, actor: str = "", **fields: Any) -> PendingChange:
        """Propose a change; promotions are overrides."""
        if kind == "promote":
            fields = {"decision": UNPROVEN, **fields}
        change = Change(kind=kind, release=release, **fields)
        return self.authority.propose(change, actor=actor or self.owner.id)

    def add_holder(self, name: str) -> Person:
        """Make a key-holder of a new person. Everybody's key is on this machine, under the same passphrase."""
        person = self.store.people.add(name)
        for holder in self.authority.state().holders:
            if not holder.is_protected:
                self.authority.protect_key(holder.key_id, passphrase=PASSPHRASE, actor=holder.person_id)
        holders = self.authority.state().holders
        key = self.authority.create_key(person, passphrase=PASSPHRASE)
        threshold = len(holders) + 1 if len(holders) < 2 else None
        pending = self.change("keys", add=(self.authority.holder_key(key.key_id),), threshold=threshold)
        for holder in (*holders, key):
            if not pending.is_published:
                pending = self.sign(pending, holder.name)
        assert pending.is_published
        return person

    def key_of(self, name: str) -> str:
        """The id of the key of a person, the newest if there are several."""
        return next(stored.key_id for stored in self.authority.keys.list() if stored.name == name)

    def sign(self, pending: PendingChange, name: str) -> PendingChange:
        """Sign a change with the stored key of a person."""
        key = self.key_of(name)
        person = self.authority.keys.get(key).person_id
        return self.authority.sign_with_stored_key(pending.id, key, passphrase=PASSPHRASE, actor=person)

    def actions(self) -> list[str]:
        """The actions in the audit log, oldest first."""
        return [entry.action for entry in self.store.audit.entries()]


@pytest.fixture(scope="module", autouse=True)
def unsynced_files() -> Iterator[None]:
    """Files do not wait for the disk: killing a process needs no sync, and no test cuts the power."""
    if not IS_PATCHED:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sync, "_sync", lambda path, flags: None)
        yield


@contextmanager
def opened(data_dir: Path, on_step: Callable[[str], None] = lambda step: None) -> Iterator[Installation]:
    """The installation in a data folder."""
    with Store.open(Settings(data_dir=data_dir)) as store:
        yield Installation(store, on_step)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with opened(tmp_path / "data") as installation:
        yield installation


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the data folders `alone` and `quorum`, to be copied: making keys and signing takes a while."""
    folder = tmp_path_factory.mktemp("releases")
    with opened(folder / "alone") as installation:
        installation.bootstrap()
    shutil.copytree(folder / "alone", folder / "quorum", symlinks=True)
    with opened(folder / "quorum") as installation:
        installation.add_holder("Ann")
        installation.add_holder("Bea")
        state = installation.authority.state()
        assert (state.threshold, len(state.holders)) == (2, 3)
    return folder


@pytest.fixture
def alone(made_once: Path, tmp_path: Path) -> Iterator[Installation]:
    """One key-holder, k = n = 1, with release 0 as the champion."""
    shutil.copytree(made_once / "alone", tmp_path / "data", symlinks=True)
    with opened(tmp_path / "data") as installation:
        yield installation


@pytest.fixture
def quorum(made_once: Path, tmp_path: Path) -> Iterator[Installation]:
    """Three key-holders, of whom two decide: `owner`, `Ann` and `Bea`."""
    shutil.copytree(made_once / "quorum", tmp_path / "data", symlinks=True)
    with opened(tmp_path / "data") as installation:
        yield installation
