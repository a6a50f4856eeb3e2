"""Releases of earlier consensus code, by code hash.

A run can be replayed only by the code that computed it (see `consensus.code_hash`). When that code changes on purpose, tag the
last commit with the old code and add it here, so that `yearling consensus replay` can name the version to use.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class CodeRelease:
    """The last commit with some consensus code, and its release tag. A checkout needs the commit only."""

    tag: str
    commit: str


RELEASES = {
    "159f028ef1e28cbe453ddc91c63af0ee2d144e9994ef8e43d560c3da208afef5": CodeRelease("consensus-2", "e471dd7ba5cf"),
    "3303c60254eaf5c82a26001c4ad31bb8c758881557870991d76a2bf80418f1df": CodeRelease("consensus-3", "e53dd12504dd"),
}
"""By code hash."""


def describe_code(code_hash: str, snapshot_version: int | None = None) -> str:
    """Return a description of consensus code for people: snapshot version, code hash, and release tag if it is known."""
    parts = [] if snapshot_version is None else [f"snapshot version {snapshot_version}"]
    release = RELEASES.get(code_hash)
    named = f"release tag {release.tag}, commit {release.commit}" if release else "no known release tag"
    return ", ".join([*parts, f"code hash {code_hash}", named])


def replay_command(code_hash: str, path: Path, *, every_run: bool = False) -> str:
    """Return the shell command that replays a publication with earlier code, from a checkout of Yearling.

    Returns an empty string if no release is known for the code. The command checks the commit out beside the current checkout
    and runs it with the current Python interpreter; `python -m` in that folder finds the old package first.
    """
    release = RELEASES.get(code_hash)
    if release is None:
        return ""
    folder = f"../yearling-{release.tag}"
    options = " --every-run" if every_run else ""
    return (
        f"git worktree add {folder} {release.commit} && cd {folder} && "
        f"{shlex.quote(sys.executable)} -m yearling consensus replay {shlex.quote(str(path.resolve()))}{options}"
    )
