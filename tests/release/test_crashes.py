"""A change that is interrupted at any step leaves a servable, consistent state, and the next start completes or drops it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.release.conftest import Installation, opened
from yearling.release import ReleaseAuthority, default_rules_text
from yearling.release.publication import PUBLICATION_STEPS

ROOT = Path(__file__).parents[2]

RULES = default_rules_text()
KINDS = ("promote", "rollback", "resume", "threshold", "online", "rules")


class Crash(BaseException):
    """Stands for a kill within the process."""


def crash_at(step: str) -> Callable[[str], None]:
    def on_step(name: str) -> None:
        if name == step:
            raise Crash

    return on_step


def prepare(installation: Installation) -> None:
    """Release 1 is the champion, release 2 is a draft, and everything is stopped."""
    installation.change("promote", installation.release("one"))
    installation.release("two")
    installation.authority.stop(None, actor="ann", reason="bad")
    installation.authority.refresh()


def make_change(installation: Installation, kind: str) -> None:
    """One change of the kind; with one key-holder it is signed and published at once."""
    match kind:
        case "resume":
            installation.change("resume", stop_id=installation.authority.stops.notices()[0].id)
        case "threshold":
            installation.change("keys", threshold=1)
        case "online":
            installation.change("keys", online=installation.authority.new_online_key())
        case "promote":
            installation.change("promote", 2)
        case "rules":
            installation.change("rules", rules=RULES)
        case "rollback":
            installation.change("rollback")
        case _:
            raise ValueError(kind)


def check_published(installation: Installation, version: int, where: str) -> None:
    """What lies on the disk is consistent by itself, before anybody completes it: `timestamp.json` is the commit point."""
    copy = installation.data_dir / "unrepaired" / "release"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(installation.folder, copy, symlinks=True)
    shutil.rmtree(copy / "pending", ignore_errors=True)
    state = ReleaseAuthority(copy, installation.store, now=installation.clock).state()
    assert state.problem == "", where
    assert state.version in (version, version + 1), where


def check_after(installation: Installation, kind: str, step: str, version: int) -> None:
    """The state before or after the change, nothing between; complete once the last signature was stored."""
    is_signed = PUBLICATION_STEPS.index(step) >= PUBLICATION_STEPS.index("signed")
    where = f"{kind} at {step}"
    if kind not in ("threshold", "online"):
        check_published(installation, version, where)
    state = installation.reopen().state()
    assert state.problem == "", where
    assert state.version == version + is_signed, where
    champion = {"promote": 2, "rollback": 0}.get(kind, 1) if is_signed else 1
    assert state.champion == champion, where
    release = state.releases[champion]
    installation.authority.may_load(installation.data_dir / release.files[0].path, release.files[0].sha256)
    assert bool(installation.authority.stops.reason("x")) == (not (kind == "resume" and is_signed)), where
    assert len(installation.authority.pending()) == (step == "sign"), where
    published = [
        entry
        for entry in installation.store.audit.entries()
        if entry.action in ("release.publish", "release.resume") and entry.detail["version"] == version + 1
    ]
    assert len(published) == is_signed, where
    assert installation.store.audit.verify().broken_at is None
    for change in installation.authority.pending():
        installation.authority.cancel(change.id, actor=installation.owner.id)
    make_change(installation, "rules")  # everything still works
    assert installation.reopen().state().rules == RULES, where


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_crash_at_every_step(alone: Installation, tmp_path: Path, kind: str) -> None:
    prepare(alone)
    version = alone.authority.state().version
    alone.store.close()
    steps = PUBLICATION_STEPS if kind in ("promote", "threshold") else ("targets", "root", "timestamp", "stops", "pending")
    for step in steps:
        shutil.rmtree(tmp_path / "crashed", ignore_errors=True)
        shutil.copytree(alone.data_dir, tmp_path / "crashed", symlinks=True)
        with opened(tmp_path / "crashed", on_step=crash_at(step)) as installation:
            with pytest.raises(Crash):
                make_change(installation, kind)
            check_after(installation, kind, step, version)


@pytest.mark.slow
def test_crash_during_the_completion_is_completed_too(alone: Installation) -> None:
    prepare(alone)
    with opened(alone.data_dir, on_step=crash_at("targets")) as first, pytest.raises(Crash):
        make_change(first, "promote")
    for step in PUBLICATION_STEPS[PUBLICATION_STEPS.index("root") :]:
        with opened(alone.data_dir, on_step=crash_at(step)) as again:
            if step not in ("done",):
                with pytest.raises(Crash):
                    again.authority.state()
    assert alone.reopen().state().champion == 2


@pytest.mark.slow
def test_crash_of_the_first_start_is_repeated(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    from yearling.files import atomic

    draft, original, left = installation.draft("tiny"), atomic.atomic_path, 0

    def fail_later(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise Crash
        return original(*arguments, **options)

    for number in range(40):
        left = number
        monkeypatch.setattr(atomic, "atomic_path", fail_later)
        try:
            installation.reopen().bootstrap(draft, installation.owner)
        except Crash:
            monkeypatch.undo()
            continue
        break
    else:
        pytest.fail("never complete")
    monkeypatch.undo()
    assert number > 5
    state = installation.reopen().state()
    assert (state.champion, state.problem, len(state.holders)) == (0, "", 1)
    assert [release.number for release in installation.store.releases.list()] == [0]


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_kill_at_every_step(alone: Installation, tmp_path: Path) -> None:
    """SIGKILL at every named step, of every kind of change, at least a hundred times."""
    prepare(alone)
    version = alone.authority.state().version
    alone.store.close()
    runs = [(kind, step) for kind in KINDS for step in PUBLICATION_STEPS]
    runs += [(kind, step) for kind, step in runs if kind in ("promote", "threshold")]
    assert len(runs) >= 100
    for kind, step in runs:
        shutil.rmtree(tmp_path / "killed", ignore_errors=True)
        shutil.copytree(alone.data_dir, tmp_path / "killed", symlinks=True)
        command = [sys.executable, "-m", "tests.release.test_crashes", str(tmp_path / "killed"), kind, step]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == -signal.SIGKILL, done.stderr
        with opened(tmp_path / "killed") as installation:
            check_after(installation, kind, step, version)
    print(f"{len(runs)} of {len(runs)} kills left a servable, consistent state")


def test_pending_change_of_a_dead_process_can_be_signed_or_cancelled(quorum: Installation) -> None:
    number = quorum.release("learnt")
    with opened(quorum.data_dir, on_step=crash_at("sign")) as other:
        pending = other.change("promote", number)
        with pytest.raises(Crash):
            other.sign(pending, "Ann")
    assert quorum.reopen().pending()[0].signed_by == ()
    quorum.sign(quorum.sign(pending, "Ann"), "Bea")
    assert quorum.authority.state().champion == number


if __name__ == "__main__":
    folder, kind_, step_ = sys.argv[1:]

    def kill(name: str) -> None:
        if name == step_:
            os.kill(os.getpid(), signal.SIGKILL)

    with opened(Path(folder), on_step=kill) as victim:
        make_change(victim, kind_)
