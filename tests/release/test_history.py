"""The history of signed metadata: each version under the root that was in force, each state from the one before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.release.conftest import Installation
from yearling.release import MetadataHistory, read_history


def read(installation: Installation) -> MetadataHistory:
    folder = installation.folder / "repository"
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return read_history(names, lambda name: (folder / name).read_bytes() if (folder / name).is_file() else None)


def without_signature(path: Path) -> None:
    value = json.loads(path.read_bytes())
    assert len(value["signatures"]) >= 2
    value["signatures"].pop()
    path.write_text(json.dumps(value))


def test_every_version_is_verified_under_its_root(quorum: Installation) -> None:
    history = read(quorum)
    assert history.faults == []
    assert [version.root_version for version in history.versions] == [1, 2, 3]
    assert [root.threshold for root in history.roots] == [1, 2, 2]
    assert [len(version.signed_by) for version in history.versions] == [1, 2, 2]
    assert history.current == 3
    assert list(history.release_records(history.versions[-1])) == [0]


def test_one_signature_too_few_is_found(quorum: Installation) -> None:
    repository = quorum.folder / "repository"
    expected = {"3.targets.json": "3.targets.json is not valid: it lacks 1 sig", "3.root.json": "3.root.json is not valid"}
    for name, sentence in expected.items():
        content = (repository / name).read_bytes()
        without_signature(repository / name)
        assert any(sentence in fault for fault in read(quorum).faults)
        (repository / name).write_bytes(content)
    assert read(quorum).faults == []


def test_a_signed_state_that_does_not_follow_from_its_change_is_found(alone: Installation) -> None:
    from tuf.api.metadata import Targets

    from yearling.release.metadata import LIFETIMES, next_targets, parse_metadata, sign_bytes, signed_state

    repository = alone.folder / "repository"
    alone.change("start_canary", alone.release("second"))
    before = parse_metadata((repository / "2.targets.json").read_bytes(), Targets).signed
    forged = replace(signed_state(before), champion=1, challenger=None, champions=(0, 1))
    targets = next_targets(before, forged, {}, expires=alone.clock() + LIFETIMES["targets"])
    (key,) = alone.authority.state().holders
    (repository / "3.targets.json").write_bytes(sign_bytes(targets, [alone.authority.keys.signer(key.key_id, "")]))
    assert any("3.targets.json is not valid" in fault for fault in read(alone).faults)


def test_a_gap_and_a_version_under_another_name_are_found(alone: Installation) -> None:
    repository = alone.folder / "repository"
    alone.change("promote", alone.release("second"))
    (repository / "2.targets.json").rename(repository / "3.targets.json")
    faults = read(alone).faults
    assert any("not complete" in fault for fault in faults)
    (repository / "3.targets.json").rename(repository / "2.targets.json")
    (repository / "2.root.json").write_bytes((repository / "1.root.json").read_bytes())
    assert any("2.root.json is not valid" in fault for fault in read(alone).faults)
