"""Which program made a record, and how to get that program: for figures that another one may compute otherwise."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from yearling import __version__

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+-]{0,63}")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


def describe_program(version: str, exported_by: Mapping[str, Any]) -> str:
    """An empty text if this program has the version, else that version and the command that checks the export with it.

    `exported_by` are the facts of the program that wrote the export. Its commit is used if it has that version, because a tag may
    be missing in a checkout. Nothing of a stranger's text gets into the command unless it looks like a version or a commit.
    """
    if version == __version__:
        return ""
    if not _VERSION.fullmatch(version):
        return f"The release names a program version that is none: {version[:80]!r}."
    code = exported_by.get("code")
    commit = str(code.get("commit", "")) if isinstance(code, Mapping) and exported_by.get("version") == version else ""
    source = commit if _COMMIT.fullmatch(commit) else f"v{version}"
    return f"The release was made with version {version}; this is {__version__}. With it: {checkout_command(version, source)}"


def describe_exporter(exported_by: Mapping[str, Any]) -> str:
    """An empty text if this program is the one that wrote the export, to the byte; else which one did, and the command."""
    from yearling.training import describe_code

    code = exported_by.get("code")
    if not isinstance(code, Mapping) or code.get("sha256") == describe_code()["sha256"]:
        return ""
    version, commit = str(exported_by.get("version", "")), str(code.get("commit", ""))
    if not _VERSION.fullmatch(version) or not _COMMIT.fullmatch(commit):
        return "Other code wrote the export, and it does not say which."
    changes = ", with changes that were not committed" if code.get("dirty") else ""
    command = checkout_command(f"{version}-{commit[:12]}", commit)
    return f"Other code of version {version} wrote the export (commit {commit[:12]}{changes}). With it: {command}"


def checkout_command(version: str, source: str) -> str:
    """The command that puts a version beside the present checkout. `yearling audit check FILE` is then run in it."""
    folder = shlex.quote(f"../yearling-{version}")
    python = shlex.quote(str(Path(sys.executable)))
    return f"git worktree add {folder} {shlex.quote(source)} && cd {folder} && {python} -m yearling audit check FILE"
