"""The attacks that the specification of TUF lists (section 1.5.2), against the repository of an installation.

The attacker can write everything in `repository/`, and holds the keys that each test says. The release that is served stays the
same, the page says that something is wrong wherever a change can be seen, and `renew_online` puts the repository right again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tuf.api.metadata import Root, Timestamp

from tests.release.conftest import Installation
from tests.release.forgery import Forger, stranger
from yearling.errors import Conflict
from yearling.release import HolderKey, ReleaseState
from yearling.release.metadata import (
    ed25519_key,
    make_snapshot,
    make_timestamp,
    next_root,
    next_targets,
    parse_metadata,
    sign_bytes,
    signed_state,
)
from yearling.release.state import Change
from yearling.release.verification import LocalFetcher


@pytest.fixture
def attacked(quorum: Installation) -> Installation:
    """Two of three decide; release 1 is the champion, and an honest copy of every version so far exists."""
    pending = quorum.change("promote", quorum.release("learnt"))
    shutil.copytree(quorum.folder / "repository", quorum.data_dir / "old")
    quorum.sign(quorum.sign(pending, "Ann"), "Bea")
    assert quorum.authority.state().champion == 1
    return quorum


def served(state: ReleaseState) -> tuple[object, ...]:
    """What decides which model answers, and who decides."""
    return (
        state.version,
        state.champion,
        state.served_challenger,
        state.champions,
        state.withdrawn,
        dict(state.releases),
        state.holders,
        state.threshold,
        state.rules,
    )


def expect_refusal(installation: Installation, before: ReleaseState, *, visible: bool = True) -> None:
    """The running server and a restarted one serve what they served before, say so, and can repair the repository."""
    for authority in (installation.authority, installation.reopen()):
        state = authority.refresh()
        assert served(state) == served(before)
        assert bool(state.problem) == visible
    if visible:
        with pytest.raises(Conflict, match="Nothing can be changed now"):
            installation.change("rollback")
    installation.authority.renew_online(is_forced=True)
    after = installation.reopen().refresh()
    assert (served(after), after.problem) == (served(before), "")


def test_arbitrary_software_signed_by_strangers(attacked: Installation) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    targets = sign_bytes(forger.evil_targets(), [stranger(), stranger(), stranger()])
    forger.publish(targets, before.version + 1, [stranger()])
    expect_refusal(attacked, before)


def test_arbitrary_software_in_the_place_of_a_signed_file(attacked: Installation) -> None:
    before = attacked.authority.state()
    for path in (attacked.folder / "repository" / "targets").rglob("*.json"):
        path.write_bytes(path.read_bytes().replace(b"learnt", b"hacked"))
    shutil.rmtree(attacked.folder / "trusted" / "targets")
    expect_refusal(attacked, before, visible=False)


def test_wrong_keys_in_the_right_roles(attacked: Installation) -> None:
    """Keys that have a vote elsewhere: the server's key signs targets, key-holders sign the timestamp."""
    before, forger = attacked.authority.state(), Forger(attacked)
    targets = sign_bytes(forger.evil_targets(), [forger.online()])
    forger.publish(targets, before.version + 1, [forger.online()])
    expect_refusal(attacked, before)
    targets = sign_bytes(forger.targets, forger.stolen("Ann", "Bea"))
    forger.publish(targets, before.version, forger.stolen("Ann", "Bea"), timestamp_version=90, snapshot_version=90)
    expect_refusal(attacked, before)


def test_swapped_key_ids(attacked: Installation) -> None:
    """One stolen key signs under the ids of all holders."""
    before, forger = attacked.authority.state(), Forger(attacked)
    (stolen,) = forger.stolen("Ann")
    value = json.loads(sign_bytes(forger.evil_targets(), [stolen]))
    signature = value["signatures"][0]["sig"]
    value["signatures"] = [{"keyid": holder.key_id, "sig": signature} for holder in before.holders]
    forger.publish(json.dumps(value).encode(), before.version + 1, [forger.online()])
    expect_refusal(attacked, before)


def test_one_key_that_signs_twice(attacked: Installation) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    value = json.loads(sign_bytes(forger.evil_targets(), forger.stolen("Ann")))
    value["signatures"] *= 2
    forger.publish(json.dumps(value).encode(), before.version + 1, [forger.online()])
    expect_refusal(attacked, before)
    value["signatures"][1] = {**value["signatures"][1], "keyid": value["signatures"][1]["keyid"].upper()}
    forger.publish(json.dumps(value).encode(), before.version + 1, [forger.online()])
    expect_refusal(attacked, before)


def test_compromise_below_the_threshold(attacked: Installation) -> None:
    """One of three holders and the server: everything but the second signature."""
    before, forger = attacked.authority.state(), Forger(attacked)
    targets = sign_bytes(forger.evil_targets(), forger.stolen("Ann"))
    forger.publish(targets, before.version + 1, [forger.online()])
    expect_refusal(attacked, before)


def test_root_that_one_holder_makes_alone(attacked: Installation) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    signer = stranger()
    own = HolderKey(public=signer.public_key.keyval["public"], name="Eve", person_id="eve")
    expires = forger.root.expires
    others = tuple(holder.key_id for holder in before.holders)
    root = next_root(forger.root, Change(kind="keys", add=(own,), revoke=others, threshold=1), expires=expires)
    for signers in ([signer], [signer, *forger.stolen("Ann")]):
        content = sign_bytes(root, signers)
        (forger.repository / f"{root.version}.root.json").write_bytes(content)
        targets = sign_bytes(forger.evil_targets(), [signer])
        forger.publish(targets, before.version + 1, [forger.online()])
        for authority in (attacked.authority, attacked.reopen()):
            state = authority.refresh()
            assert served(state) == served(before)
            assert state.problem
    (forger.repository / f"{root.version}.root.json").unlink()
    expect_refusal(attacked, before)


def test_public_key_under_two_ids(attacked: Installation) -> None:
    """A root that gives one person two votes is refused even with all the signatures that it needs."""
    forger = Forger(attacked)
    root = Root.from_dict(json.loads(json.dumps(forger.root.to_dict())))
    key = root.keys[attacked.key_of("Ann")]
    double = ed25519_key(key.keyval["public"])
    double.keyid = "ab" * 32
    for role in ("root", "targets"):
        root.add_key(double, role)
    root.version += 1
    before = attacked.authority.state()
    (forger.repository / f"{root.version}.root.json").write_bytes(sign_bytes(root, forger.stolen("Ann", "Bea")))
    state = attacked.reopen().refresh()
    assert served(state) == served(before)
    assert "wrong id" in state.problem


def test_rollback_to_an_older_repository(attacked: Installation) -> None:
    before = attacked.authority.state()
    shutil.rmtree(attacked.folder / "repository")
    shutil.copytree(attacked.data_dir / "old", attacked.folder / "repository")
    expect_refusal(attacked, before)
    assert attacked.authority.state().champion == 1


def test_rollback_by_the_servers_key(attacked: Installation) -> None:
    """The stolen server key signs a new timestamp for the old, once properly signed releases."""
    before, forger = attacked.authority.state(), Forger(attacked)
    old = forger.repository / f"{before.version - 1}.targets.json"
    forger.publish(old.read_bytes(), before.version - 1, [forger.online()])
    expect_refusal(attacked, before)


def test_fast_forward_without_keys(attacked: Installation) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    timestamp = parse_metadata((forger.repository / "timestamp.json").read_bytes(), Timestamp)
    timestamp.signed.version = 2**31 - 1
    (forger.repository / "timestamp.json").write_bytes(timestamp.to_bytes())
    expect_refusal(attacked, before)


def test_fast_forward_by_the_servers_key_does_not_last(attacked: Installation) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    content = (forger.repository / f"{before.version}.targets.json").read_bytes()
    forger.publish(content, before.version, [forger.online()], timestamp_version=2**31 - 1, snapshot_version=2**31 - 1)
    assert served(attacked.authority.refresh()) == served(before)
    attacked.sign(attacked.sign(attacked.change("keys", online=attacked.authority.new_online_key()), "Ann"), "Bea")
    attacked.clock.advance(days=20)
    attacked.authority.renew_online()
    assert attacked.reopen().state().problem == ""


@pytest.mark.slow
def test_indefinite_freeze(attacked: Installation) -> None:
    before = attacked.authority.state()
    frozen = (attacked.folder / "repository" / "timestamp.json").read_bytes()
    attacked.clock.advance(days=6)
    attacked.authority.renew_online()
    attacked.clock.advance(days=6)
    (attacked.folder / "repository" / "timestamp.json").write_bytes(frozen)
    expect_refusal(attacked, before)
    attacked.clock.advance(days=8)
    expect_refusal(attacked, before)


@pytest.mark.parametrize("name", ["timestamp.json", "SNAPSHOT", "TARGETS", "ROOT"])
@pytest.mark.parametrize("kind", ["sparse", "pipe", "device", "loop"])
def test_endless_data(attacked: Installation, name: str, kind: str) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    names = {
        "SNAPSHOT": "51.snapshot.json",
        "TARGETS": f"{before.version + 1}.targets.json",
        "ROOT": f"{forger.root.version + 1}.root.json",
    }
    path = forger.repository / names.get(name, name)
    now = attacked.clock()
    snapshot = sign_bytes(make_snapshot(51, b"x" * 9, before.version + 1, now=now), [forger.online()])
    timestamp = make_timestamp(51, snapshot, 51, now=now)
    if name == "SNAPSHOT":
        timestamp.snapshot_meta.length = None
        timestamp.snapshot_meta.hashes = None
    (forger.repository / "51.snapshot.json").write_bytes(snapshot)
    (forger.repository / "timestamp.json").write_bytes(sign_bytes(timestamp, [forger.online()]))
    path.unlink(missing_ok=True)
    _make_endless(path, kind)
    start = time.monotonic()
    state = attacked.reopen().refresh()
    assert time.monotonic() - start < 5
    assert served(state) == served(before)
    assert state.problem
    path.unlink()
    expect_refusal(attacked, before)


def _make_endless(path: Path, kind: str) -> None:
    if kind == "sparse":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.symlink_to(path)


def test_mix_and_match(attacked: Installation) -> None:
    """Properly signed files of different versions, put together."""
    before, forger = attacked.authority.state(), Forger(attacked)
    now, newest = before.version, forger.repository
    pairs = [
        (f"{now - 1}.targets.json", f"{now}.targets.json"),
        (f"{_snapshot_version(forger) - 1}.snapshot.json", f"{_snapshot_version(forger)}.snapshot.json"),
    ]
    for old, new in pairs:
        original = (newest / new).read_bytes()
        (newest / new).write_bytes((newest / old).read_bytes())
        state = attacked.reopen().refresh()
        assert served(state) == served(before)
        (newest / new).write_bytes(original)
    shutil.copy(attacked.data_dir / "old" / "timestamp.json", newest / "timestamp.json")
    expect_refusal(attacked, before)


def test_mix_of_a_new_snapshot_with_targets_of_another_content(attacked: Installation) -> None:
    """The server's key and one holder: a snapshot names the hash of targets that lack a signature."""
    before, forger = attacked.authority.state(), Forger(attacked)
    state = signed_state(forger.targets)
    again = next_targets(forger.targets, state, {}, expires=forger.targets.expires)
    forger.publish(sign_bytes(again, forger.stolen("Bea")), again.version, [forger.online()])
    expect_refusal(attacked, before)


def test_extraneous_dependencies(attacked: Installation) -> None:
    """A file that nobody signed, next to the signed ones, belongs to no release."""
    before = attacked.authority.state()
    extra = attacked.folder / "repository" / "targets" / "releases" / f"{'ab' * 32}.9.json"
    extra.write_bytes(b"{}")
    expect_refusal(attacked, before, visible=False)
    assert 9 not in attacked.authority.state().releases


@pytest.mark.parametrize("names", ["timestamp.json", "*.snapshot.json", "*.targets.json", "*.root.json", "*"])
def test_files_that_an_attacker_withholds(attacked: Installation, names: str) -> None:
    before = attacked.authority.state()
    for path in (attacked.folder / "repository").glob(names):
        if path.is_file():
            path.unlink()
    expect_refusal(attacked, before, visible=names in ("timestamp.json", "*"))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"null", b"[" * 50_000, b'{"signed": {"_type": "root"}}', b"\xff\xfe", b"7" * 9000]
)
def test_metadata_that_is_no_metadata(attacked: Installation, content: bytes) -> None:
    before = attacked.authority.state()
    (attacked.folder / "repository" / "timestamp.json").write_bytes(content)
    expect_refusal(attacked, before)


def test_metadata_of_another_role(attacked: Installation) -> None:
    before, forger = attacked.authority.state(), Forger(attacked)
    shutil.copy(forger.repository / f"{before.version}.targets.json", forger.repository / "timestamp.json")
    expect_refusal(attacked, before)


@pytest.mark.parametrize("name", ["../../secret.json", "1.root.json/../x", "timestamp.json\n", "root.txt", "01.root.json"])
def test_fetcher_reads_metadata_files_only(tmp_path: Path, name: str) -> None:
    from tuf.api.exceptions import DownloadHTTPError

    (tmp_path / "1.root.json").write_text("{}")
    fetcher = LocalFetcher(tmp_path)
    assert fetcher.download_bytes("local:/1.root.json", 10) == b"{}"
    with pytest.raises(DownloadHTTPError):
        fetcher.download_bytes(f"local:/{name}", 10)


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: value["targets"]["signed"]["yearling"].update(champion=66),
        lambda value: value["targets"]["signed"]["yearling"]["change"].update(reason="harmless"),
        lambda value: value["targets"]["signed"]["yearling"]["change"].update(proposed_by="Ann"),
        lambda value: value["targets"]["signed"]["yearling"]["change"].update(kind="withdraw"),
        lambda value: value["targets"]["signed"]["yearling"].update(withdrawn=[1]),
        lambda value: value["targets"]["signed"].update(expires="2099-01-01T00:00:00Z"),
        lambda value: value["targets"]["signed"]["targets"].pop("releases/0.json"),
        lambda value: value.update(files={"gates.toml": ""}),
        lambda value: value["targets"].update(signatures=[{"keyid": "ab" * 32, "sig": "00" * 64}] * 2),
        lambda value: value.pop("root"),
    ],
)
def test_pending_change_that_does_something_else_than_it_says(
    attacked: Installation, forge: Callable[[dict[str, dict[str, dict[str, dict[str, object]]]]], object]
) -> None:
    """Nobody can be made to sign it: it is refused before anything is signed."""
    from yearling.errors import Untrusted

    pending = attacked.change("rollback")
    path = attacked.folder / "pending" / f"{pending.id}.json"
    value = json.loads(path.read_bytes())
    forge(value)
    path.write_text(json.dumps(value))
    for attempt in (
        attacked.authority.pending,
        lambda: attacked.sign(pending, "Ann"),
        lambda: attacked.authority.signing_bytes(pending.id),
    ):
        with pytest.raises(Untrusted):
            attempt()
    assert attacked.reopen().state().champion == 1
    attacked.authority.cancel(pending.id, actor=attacked.owner.id)
    assert attacked.authority.pending() == []


def _snapshot_version(forger: Forger) -> int:
    content = (forger.repository / "timestamp.json").read_bytes()
    return parse_metadata(content, Timestamp).signed.snapshot_meta.version
