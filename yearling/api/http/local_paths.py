"""Hides where files are on the server: errors name them for the owner, at the terminal and in the log, and not for clients."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

_NO_NAME = r"\s'\"`<>|;,()\[\]{}"
"""Characters that end a path. A folder's name may have them; those of `_known_folders` are then still found whole."""


def hide_local_paths(text: str) -> str:
    """The text with each absolute path of this machine cut down to its last name. Addresses such as `/v1/models` stay."""
    return _local_path().sub(_last_name, text) if "/" in text else text


def _last_name(match: re.Match[str]) -> str:
    path = match[0].rstrip(".:!?/")  # the end of a sentence is not part of it
    return Path(path).name + match[0][len(path) :].lstrip("/")


@lru_cache(maxsize=1)
def _local_path() -> re.Pattern[str]:
    """Matches what begins with a folder of this machine, after a file's scheme or none."""
    beginnings = [re.escape(folder) for folder in _known_folders()]
    beginnings.append(f"/(?:{'|'.join(re.escape(name) for name in sorted(os.listdir('/'), key=len, reverse=True))})")
    return re.compile(
        rf"(?:\b(?:file|sqlite(?:\+\w+)?):/*(?=/)|(?<![\w./:~-]))(?:{'|'.join(beginnings)})(?![^/{_NO_NAME}:.])(?:/[^{_NO_NAME}]*)?"
    )


def _known_folders() -> list[str]:
    folders = {str(Path.home()), os.getcwd(), tempfile.gettempdir(), sys.prefix}
    return sorted((folder for folder in folders if len(Path(folder).parts) > 1), key=len, reverse=True)
