"""The stop switch: one file that every worker reads while it generates.

Anybody who may write the data folder can stop a model, or all. A stop survives restarts, and only a change that the quorum signed
lifts it. A file that is missing or unreadable counts as a stop of everything: deleting it resumes nothing. `ReleaseAuthority`
writes it anew from the audit log.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from yearling.canonical import canonical_json
from yearling.clock import new_id, now_utc
from yearling.errors import BadInput, Conflict, Untrusted, malformed_as_untrusted
from yearling.files.atomic import atomic_write_json
from yearling.files.disk import translate_disk_errors
from yearling.files.locks import exclusive_lock
from yearling.files.reading import open_regular_file
from yearling.files.sync import make_directory
from yearling.release.json_reading import read_json

STOP_FILENAME = "stop.json"
MAX_STOP_BYTES = 1_000_000
MAX_STOP_REASON_CHARS = 500
MAX_STOPS = 500
MAX_STOPPED_NAME_CHARS = 300

_Fingerprint = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StopNotice:
    """A stop of one model, or of all if `model` is None."""

    id: str
    created_utc: datetime
    model: str | None
    actor: str
    reason: str

    def applies_to(self, model: str) -> bool:
        """Whether the stop covers a model: the model of its name, or every model. Adapters on a model have names of their own."""
        return self.model is None or model == self.model

    @property
    def sentence(self) -> str:
        """What was stopped, when and why."""
        what = f"The model {self.model!r}" if self.model else "Every model"
        why = self.reason.rstrip(".") or "no reason was given"
        return f"{what} was stopped at {self.created_utc:%Y-%m-%d %H:%M} UTC: {why}."


Notices = tuple[StopNotice, ...]


class StopSwitch:
    """The stops of one release folder. Thread-safe; any number of processes may use the same folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / STOP_FILENAME
        self._lock = threading.Lock()
        self._seen: _Fingerprint | None = None
        self._notices: Notices = ()
        self._problem = ""

    def stop(self, model: str | None, *, actor: str, reason: str) -> StopNotice:
        """Stop a model, or all. Durable on return. Raises BadInput for a reason that is too long, StorageFailed."""
        reason = " ".join(reason.split())
        if len(reason) > MAX_STOP_REASON_CHARS or not reason.isprintable():
            raise BadInput(f"A reason is a text of at most {MAX_STOP_REASON_CHARS} printable characters.", param="reason")
        if model is not None and (len(model) > MAX_STOPPED_NAME_CHARS or not model.isprintable()):
            raise BadInput("This is no name of a model.", param="model")
        notice = StopNotice(id=new_id(), created_utc=now_utc(), model=model or None, actor=actor, reason=reason)
        self._update(add=[notice])
        return notice

    def reason(self, model: str) -> str:
        """Why a model may not generate; empty while it may. Costs one `stat` unless the file was changed."""
        with self._lock:
            self._reload()
            if self._problem:
                return self._problem
            return next((notice.sentence for notice in self._notices if notice.applies_to(model)), "")

    def notices(self) -> Notices:
        """The stops in force, oldest first. Raises Untrusted if the file is missing or damaged: then everything is stopped."""
        with self._lock:
            self._reload()
            if self._problem:
                raise Untrusted(self._problem, advice="Run `yearling release list`, which writes it anew from the audit log.")
            return self._notices

    def lift(self, stop_id: str) -> None:
        """Remove a stop. Only for a `resume` that was published. A stop that is not there is not an error."""
        self._update(remove=[stop_id])

    def repair(self, add: Collection[StopNotice], remove: Iterable[str]) -> None:
        """Bring the file in line with the audit log and the signed state: `add` what is missing, `remove` what was lifted.

        A file that cannot be read is replaced.
        """
        self._update(add=add, remove=remove, is_repair=True)

    def _update(self, *, add: Collection[StopNotice] = (), remove: Iterable[str] = (), is_repair: bool = False) -> None:
        removed = set(remove)
        with translate_disk_errors(self.path.parent, all_errors=True):
            make_directory(self.path.parent)
            with exclusive_lock(self.path.with_suffix(".lock"), timeout_s=None):
                try:
                    current = _read(self.path) if self.path.exists() else ()
                except Untrusted:
                    if removed and not is_repair:
                        raise
                    current = ()  # the stop that is written now counts at once; the authority adds the others again
                known = {notice.id: notice for notice in (*current, *add) if notice.id not in removed}
                kept = tuple(sorted(known.values(), key=lambda notice: (notice.created_utc, notice.id)))
                if len(kept) > MAX_STOPS and not is_repair and any(notice.model for notice in add):
                    raise Conflict(f"{MAX_STOPS} stops are in force already.", advice="Stop everything instead.")
                rows = [_to_json(notice) for notice in kept]
                atomic_write_json(self.path, {"notices": rows, "sha256": _hash(rows)})

    def _reload(self) -> None:
        fingerprint = file_fingerprint(self.path)
        if fingerprint == self._seen and fingerprint is not None:
            return
        self._notices, self._problem = (), ""
        try:
            if fingerprint is not None:
                self._notices = _read(self.path)
            elif (self.path.parent / "repository").exists():
                raise Untrusted(f"{self.path} is missing.")
        except Untrusted as error:
            self._problem = f"Everything is stopped: {error.message}"
        self._seen = fingerprint


def _read(path: Path) -> Notices:
    """Read the file. Raises Untrusted if it is missing, damaged or too large."""
    try:
        with open_regular_file(path) as file:
            content = file.read(MAX_STOP_BYTES + 1)
    except Exception as error:  # whatever it is, nothing may generate
        raise Untrusted(f"{path} cannot be read ({error}).") from error
    if len(content) > MAX_STOP_BYTES:
        raise Untrusted(f"{path} is larger than {MAX_STOP_BYTES} bytes.")
    return parse_stops(content, path)


def parse_stops(content: bytes, path: Path) -> Notices:
    """The stops in the content of a stop file. Raises Untrusted if it is damaged."""
    with malformed_as_untrusted(f"The stop file {path}"):
        value = read_json(content)
        rows = value["notices"]
        if set(value) != {"notices", "sha256"} or value["sha256"] != _hash(rows):
            raise ValueError("its checksum does not fit")
        return tuple(StopNotice(**{**row, "created_utc": datetime.fromisoformat(row["created_utc"])}) for row in rows)


def _to_json(notice: StopNotice) -> dict[str, object]:
    return {**asdict(notice), "created_utc": notice.created_utc.isoformat()}


def _hash(rows: object) -> str:
    return hashlib.sha256(canonical_json(rows)).hexdigest()


def file_fingerprint(path: Path) -> _Fingerprint | None:
    """Changes with every change of a file or folder; None if it is not there."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
