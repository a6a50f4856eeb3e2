"""Flipped bits in the signed files: each is detected or harmless, and none changes what is accepted or served."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from tests.release.conftest import Installation
from yearling.errors import Untrusted, UserError
from yearling.release import ChangeKind, ReleaseState, StopSwitch

PARTS = (
    "repository/timestamp.json",
    "repository/*.json",
    "repository/targets/**/*",
    "trusted/0*/*.json",
    "trusted/0*/root_history/*",
    "trusted/targets/*",
    "stop.json",
    "pending/*",
)


def prepare(quorum: Installation) -> Path:
    """An installation with a champion, a canary, a withdrawn release, a stop and a pending change. Returns a copy of it."""
    changes: dict[str, ChangeKind] = {"a": "promote", "b": "start_canary", "c": "withdraw", "d": "promote"}
    for name, kind in changes.items():
        pending = quorum.change(kind, quorum.release(name))
        if name != "d":
            quorum.sign(quorum.sign(pending, "Ann"), "Bea")
    quorum.authority.stop("tiny", actor="ann", reason="bad")
    quorum.authority.refresh()
    return Path(shutil.copytree(quorum.folder, quorum.data_dir / "pristine", symlinks=True))


def decided(state: ReleaseState) -> tuple[object, ...]:
    """What was accepted and is served."""
    return (
        state.version,
        state.champion,
        state.challenger,
        state.champions,
        state.withdrawn,
        dict(state.decisions),
        dict(state.releases),
        state.holders,
        state.threshold,
        state.expires["root"],
        state.expires["targets"],
    )


def check_flips(quorum: Installation, count: int, seed: int) -> Counter[str]:
    """Flip one bit at a time and restart. Returns how often each part detected it, or it was harmless."""
    random_, pristine = random.Random(seed), prepare(quorum)
    expected = decided(quorum.authority.state())
    notices, num_entries = quorum.authority.stops.notices(), len(quorum.store.audit.entries())
    (pending,) = quorum.authority.pending()
    parts = [[path for path in sorted(pristine.glob(pattern)) if path.is_file() and not path.is_symlink()] for pattern in PARTS]
    assert all(parts)
    outcomes: Counter[str] = Counter()
    while sum(outcomes.values()) < count:
        shutil.rmtree(quorum.folder)
        shutil.copytree(pristine, quorum.folder, symlinks=True)
        source = random_.choice(random_.choice(parts))
        is_cold = random_.random() < 0.3
        if is_cold:  # nothing but the root was verified before, so that the repository has no second copy
            for name in ("timestamp", "snapshot", "targets"):
                (next(iter((quorum.folder / "trusted").glob("0*"))) / f"{name}.json").unlink()
        path = quorum.folder / source.relative_to(pristine)
        if not path.exists():
            continue
        content = bytearray(path.read_bytes())
        position, bit = random_.randrange(len(content)), random_.randrange(8)
        content[position] ^= 1 << bit
        path.write_bytes(content)
        where = f"bit {bit} of byte {position} of {path}"
        reason = StopSwitch(quorum.folder).reason("tiny")
        assert "was stopped" in reason or "Everything is stopped" in reason, where
        try:
            state = quorum.reopen().state()
        except Untrusted:
            assert is_cold, where
            outcomes["cold detected"] += 1
            continue
        assert decided(state) == expected, where
        assert quorum.authority.stops.notices() == notices, where
        try:
            shown = quorum.authority.pending()
            assert [(change.id, change.change, change.signed_by) for change in shown] == [
                (pending.id, pending.change, pending.signed_by)
            ], where
            is_pending_damaged = False
        except UserError:
            is_pending_damaged = True
        part = path.relative_to(quorum.folder).parts[0]
        is_detected = bool(state.problem) or is_pending_damaged or "Everything" in reason
        outcomes[f"{part} {'detected' if is_detected else 'harmless'}"] += 1
        if state.problem:
            quorum.authority.renew_online()
            assert quorum.authority.state().problem == "", where
            assert decided(quorum.authority.state()) == expected, where
    assert len(quorum.store.audit.entries()) == num_entries
    return outcomes


@pytest.mark.slow
def test_flipped_bits_change_nothing(quorum: Installation) -> None:
    outcomes = check_flips(quorum, 60, seed=3)
    assert sum(count for name, count in outcomes.items() if "detected" in name) > 5


@pytest.mark.drill
@pytest.mark.timeout(3600)
def test_thousand_flipped_bits_change_nothing(quorum: Installation) -> None:
    outcomes = check_flips(quorum, 1000, seed=4)
    print(dict(outcomes))
    for part in ("repository detected", "stop.json detected", "pending detected"):
        assert outcomes[part] > 0
