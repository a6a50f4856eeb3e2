"""Release tags of earlier consensus code, by code hash.

A run can be replayed only by the code that computed it (see `consensus.code_hash`). When that code changes on purpose, tag the
last commit with the old code and add its hash here, so that `yearling consensus replay` can name the version to use.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

RELEASE_TAGS = {"159f028ef1e28cbe453ddc91c63af0ee2d144e9994ef8e43d560c3da208afef5": "consensus-2"}
"""Git tag of the last commit with this consensus code."""


def describe_code(code_hash: str, snapshot_version: int | None = None) -> str:
    """Return a description of consensus code for people: snapshot version, code hash, and release tag if it is known."""
    parts = [] if snapshot_version is None else [f"snapshot version {snapshot_version}"]
    tag = RELEASE_TAGS.get(code_hash)
    return ", ".join([*parts, f"code hash {code_hash}", f"release tag {tag}" if tag else "no known release tag"])


def replay_command(code_hash: str, path: Path, *, every_run: bool = False) -> str:
    """Return the shell command that replays a publication with earlier code, from a checkout of Yearling.

    Returns an empty string if no release tag is known for the code. The command checks the tag out beside the current checkout
    and runs it with the current Python interpreter; `python -m` in that folder finds the old package first.
    """
    tag = RELEASE_TAGS.get(code_hash)
    if tag is None:
        return ""
    folder = f"../yearling-{tag}"
    options = " --every-run" if every_run else ""
    return (
        f"git worktree add {folder} {tag} && cd {folder} && "
        f"{shlex.quote(sys.executable)} -m yearling consensus replay {shlex.quote(str(path.resolve()))}{options}"
    )
