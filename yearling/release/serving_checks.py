"""What engines ask before they load a file and while they answer, for every process that serves models.

    checks = ServingChecks(authority, store.people, data_dir)
    EnginePool(..., may_load=checks.may_load, is_stopped=checks.is_stopped)

Both may be called from any thread. They allow everything before the first release.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from yearling.errors import NotFound, Untrusted
from yearling.release.authority import ReleaseAuthority
from yearling.release.file_rules import path_in_data_folder
from yearling.release.state import ReleaseState

if TYPE_CHECKING:
    from yearling.records import Person

_MODELS, _MANIFEST = "models", "model.json"
"""Each folder in the folder of models is one model. Its manifest is named by releases that the server has made."""


class ServingChecks:
    """The checks of one installation. `get_person` finds a person by id; it raises NotFound."""

    def __init__(self, authority: ReleaseAuthority, get_person: Callable[[str], Person], data_dir: Path) -> None:
        self._authority = authority
        self._get_person = get_person
        self._data_dir = data_dir
        self._names = {"yearling": "The server"}

    def may_load(self, path: Path, sha256: str) -> None:
        """Raises Untrusted for a file that differs from a signed release, that was withdrawn, or that was added to a released
        model: a template or tokenizer that no release names would change what the model answers.
        """
        if self._authority.exists():
            self._authority.may_load(path, sha256)
            self._require_named(path, self._authority.state())

    def is_stopped(self, model: str) -> str:
        """Why a model is stopped and who stopped it; empty while it is not.

        Names decide: a stop of a model leaves the adapters on it alone. Costs one `stat` while nothing is stopped.
        """
        problem = self._authority.stops.reason(model)
        if not problem:
            return ""
        try:
            notices = self._authority.stops.notices()
        except Untrusted:
            return problem
        notice = next((notice for notice in notices if notice.model in (None, model)), None)
        if notice is None:
            return ""
        what = "it" if notice.model else "all models"
        reason = notice.reason.rstrip(".") or "no reason given"
        return f"{self._name(notice.actor)} stopped {what} on {notice.created_utc:%Y-%m-%d %H:%M} UTC: {reason}."

    def _require_named(self, path: Path, state: ReleaseState) -> None:
        name = PurePosixPath(path_in_data_folder(path, self._data_dir))
        released = {PurePosixPath(file.path) for release in state.releases.values() for file in release.files}
        folders = {file.parts[:2] for file in released if file.parts[0] == _MODELS}
        if name not in released and name.name != _MANIFEST and name.parts[:2] in folders:
            raise Untrusted(
                f"{path} was added to a released model: no release names it.",
                advice="Remove the file, or install the changed model under another name.",
            )

    def _name(self, person_id: str) -> str:
        """A person's name, looked up once."""
        if person_id not in self._names:
            try:
                self._names[person_id] = self._get_person(person_id).name
            except NotFound:
                self._names[person_id] = "Somebody whose account is gone"
        return self._names[person_id]
