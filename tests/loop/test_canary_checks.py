"""The referee follows canaries again: each stop by what counted until it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from yearling.config import Settings
from yearling.loop import assess_canary, stop_canary_if_due
from yearling.loop.referee.canary_checks import check_canaries
from yearling.release import MetadataHistory, StopNotice, StopSwitch
from yearling.store import CanaryObservation, Store, new_release, read_audit_rows


class AuditedSwitch(StopSwitch):
    def __init__(self, folder: Path, store: Store) -> None:
        super().__init__(folder)
        self.store = store

    def stop(self, model: str | None, *, actor: str, reason: str) -> StopNotice:
        notice = super().stop(model, actor=actor, reason=reason)
        self.store.audit.append(actor, "release.stop", notice.id, {"model": model, "reason": reason})
        return notice


class Canary:
    """A canary of release 1 against release 0, as an export of its store shows it."""

    names = frozenset({"consensus.jsonl"})

    def __init__(self, store: Store, folder: Path) -> None:
        self.store, self.folder, self.switch = store, folder, AuditedSwitch(folder / "release", store)
        for name in ("aa", "bb"):
            fields: Any = {"created_by": "yearling", "title": name, "kind": "model", "program_version": "0"}
            store.releases.create(new_release(model=name, model_hash=name * 32, **fields))
        self.publish("release.publish", {"kind": "start_canary", "release": 1})

    def publish(self, action: str, change: dict[str, Any]) -> None:
        self.store.audit.append("somebody", action, "a change", {"change": change})

    def observe(self, count: int, *flags: str) -> None:
        start = len(self.store.canaries.list(1))
        for number in range(start, start + count):
            arms: Any = (("champion", ()), ("challenger", flags))
            self.store.canaries.add(
                [CanaryObservation(release=1, arm=arm, source="replay", flags=found, pair=str(number)) for arm, found in arms]
            )

    def look(self) -> bool:
        state: Any = SimpleNamespace(champion=0, challenger=1)
        return stop_canary_if_due(self.store, self.switch, assess_canary(self.store, state))

    def lift(self) -> None:
        for notice in self.switch.notices():
            self.publish("release.resume", {"kind": "resume", "stop_id": notice.id})
            self.switch.lift(notice.id)

    def lines(self, name: str) -> Iterator[dict[str, Any]]:
        if name != "consensus.jsonl":
            table: Any = name.removesuffix(".jsonl")
            yield from map(dict, read_audit_rows(self.store.database, table))

    def check(self, scratch: str) -> list[tuple[int, str, str]]:
        export: Any = self
        return list(check_canaries(export, MetadataHistory(), self.store.audit.entries(), self.folder / scratch))


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    with Store.open(Settings(data_dir=tmp_path / "data")) as store:
        yield Canary(store, tmp_path)


@pytest.mark.slow
def test_every_stop_is_reproduced_by_what_counted_until_it(canary: Canary) -> None:
    canary.observe(20, "empty")
    assert canary.look()
    canary.lift()
    assert canary.check("lifted") == [(1, "", ""), (1, "", "")]
    canary.observe(25, "empty")
    _, (_, difference, _) = canary.check("unseen")
    assert "The log has no stop of it" in difference
    assert canary.look()
    assert canary.check("stopped") == [(1, "", ""), (1, "", "")], "the second stop rests on what came after the first"
