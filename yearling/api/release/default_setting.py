"""Remembers the model that the settings named when it was last in force: only a change of the setting releases another model.

Without it, a champion that was promoted would be replaced by the setting at the next start.
"""

from __future__ import annotations

import json
from pathlib import Path

from yearling.files.atomic import atomic_write_json
from yearling.files.sync import make_directory

_MAX_BYTES = 10_000


class DefaultSetting:
    """A file with one name. A file that cannot be read counts as absent: nothing is released because of it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_unknown(self) -> bool:
        """Whether nothing is remembered."""
        return self._read() is None

    def was_changed(self, model: str) -> bool:
        """Whether the setting named another model when it was last in force."""
        remembered = self._read()
        return remembered is not None and remembered != model

    def remember(self, model: str) -> None:
        """Remember the setting, durably."""
        if self._read() != model:
            make_directory(self._path.parent)
            atomic_write_json(self._path, {"model": model})

    def _read(self) -> str | None:
        try:
            with self._path.open("rb") as file:
                model = json.loads(file.read(_MAX_BYTES))["model"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return model if isinstance(model, str) else None
