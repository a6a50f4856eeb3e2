"""The folder of a cycle, `cycles/<id>` in the data folder: what it started from, and a marker for each step that is done.

    cycle.json          the options, the champion that is to be beaten, the time of the start
    steps/<name>.json   the result of a step, written when all of its effects are stored
    end.json            how it ended, and why in one sentence
    discarded.json      who threw the trained model away, and when
    report.json         what came of it; report.txt is the same for people
    lock                held by the process that works on it

Every file is written at once and is durable before the next step begins. A step that was interrupted is done again, and finds
what it had stored.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from yearling.clock import new_id, now_utc
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.files.atomic import atomic_write_json, atomic_write_text
from yearling.files.disk import DiskAdvice, translate_disk_errors
from yearling.files.locks import LockHeldError, acquire_exclusive_lock
from yearling.files.sync import make_directory
from yearling.loop.cycle.options import STEPS, CycleOptions

CycleOutcome = Literal["promoted", "measured", "refused", "waiting", "nothing", "stopped"]
"""`waiting`: people have to sign, or the canary has not seen enough. `measured`: the options ended it before the promotion."""

CYCLE_FORMAT_VERSION = 1
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADVICE = DiskAdvice(full="Free some space, then run `yearling cycle resume`.", not_writable="Check the folder and its disk.")


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleStart:
    """What a cycle started from. `champion` and `champion_hash` name the model that is to be beaten, `base` the one to train."""

    id: str
    created_utc: datetime
    options: CycleOptions
    champion: str
    champion_hash: str
    base: str
    program_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """A step that is done: its result as JSON values, and what it cost. `duration_s` leaves out what a kill interrupted."""

    name: str
    result: Mapping[str, Any]
    started_utc: datetime
    ended_utc: datetime
    cpu_s: float
    joules: float | None = None

    @property
    def duration_s(self) -> float:
        """Seconds from the last start of the step to its end."""
        return (self.ended_utc - self.started_utc).total_seconds()


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleEnd:
    """How a cycle ended, why in one sentence, and what to do next."""

    outcome: CycleOutcome
    why: str
    advice: str
    ended_utc: datetime


class CycleFolder:
    """One cycle. Reading needs no lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    def begin(self, options: CycleOptions, *, champion: str, champion_hash: str, base: str, program_version: str) -> CycleStart:
        """Write down what the cycle starts from, or return what was written before. Raises StorageFailed."""
        with translate_disk_errors(self.path, advice=_ADVICE):
            for folder in (self.path.parent, self.path, self.path / "steps"):
                make_directory(folder)
            if not (self.path / "cycle.json").exists():
                values = {
                    "version": CYCLE_FORMAT_VERSION,
                    "created_utc": now_utc().isoformat(),
                    "options": asdict(options),
                    "champion": champion,
                    "champion_hash": champion_hash,
                    "base": base,
                    "program_version": program_version,
                }
                atomic_write_json(self.path / "cycle.json", values)
        return self.start()

    def start(self) -> CycleStart:
        """What the cycle started from. Raises NotFound, Untrusted for a damaged file or one of another version."""
        values = self._read("cycle.json")
        if values is None:
            raise NotFound(f"There is no cycle {self.id}.", advice="`yearling cycle status` shows the cycles.")
        if values.get("version") != CYCLE_FORMAT_VERSION:
            raise Untrusted(f"The cycle {self.id} was made by another version of Yearling.", advice="Start a new one.")
        stored = values["options"].items()
        options: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in stored}
        return CycleStart(
            id=self.id,
            created_utc=datetime.fromisoformat(values["created_utc"]),
            options=CycleOptions(**options),
            **{name: values[name] for name in ("champion", "champion_hash", "base", "program_version")},
        )

    def read_step(self, name: str) -> StepRecord | None:
        """A step that is done; None before."""
        values = self._read(f"steps/{name}.json")
        if values is None:
            return None
        times = {key: datetime.fromisoformat(values[key]) for key in ("started_utc", "ended_utc")}
        return StepRecord(**{**values, **times})

    def write_step(self, record: StepRecord) -> None:
        """Mark a step as done. Durable on return."""
        values = {**asdict(record), "started_utc": record.started_utc.isoformat(), "ended_utc": record.ended_utc.isoformat()}
        with translate_disk_errors(self.path, advice=_ADVICE):
            atomic_write_json(self.path / "steps" / f"{record.name}.json", values)

    def steps(self) -> list[StepRecord]:
        """The steps that are done, in their order."""
        return [record for name in STEPS if (record := self.read_step(name)) is not None]

    def read_end(self) -> CycleEnd | None:
        """How it ended; None while it goes on."""
        values = self._read("end.json")
        return None if values is None else CycleEnd(**{**values, "ended_utc": datetime.fromisoformat(values["ended_utc"])})

    def write_end(self, outcome: CycleOutcome, why: str, advice: str = "") -> CycleEnd:
        """Mark the cycle as ended."""
        end = CycleEnd(outcome=outcome, why=why, advice=advice, ended_utc=now_utc())
        with translate_disk_errors(self.path, advice=_ADVICE):
            atomic_write_json(self.path / "end.json", {**asdict(end), "ended_utc": end.ended_utc.isoformat()})
        return end

    def reopen(self) -> None:
        """Let a cycle go on that waited. Raises Conflict for one that has ended for good."""
        end = self.read_end()
        if end is not None and end.outcome not in ("waiting", "stopped"):
            raise Conflict(f"The cycle {self.id} has ended: {end.why}", advice="Start a new one with `yearling cycle`.")
        (self.path / "end.json").unlink(missing_ok=True)

    @property
    def is_discarded(self) -> bool:
        """Whether the model that it trained was thrown away."""
        return (self.path / "discarded.json").exists()

    def mark_discarded(self, actor: str) -> None:
        """Write down that the model is thrown away. Durable on return."""
        with translate_disk_errors(self.path, advice=_ADVICE):
            atomic_write_json(self.path / "discarded.json", {"actor": actor, "discarded_utc": now_utc().isoformat()})

    def write_report(self, report: Mapping[str, Any], text: str) -> None:
        """Store what came of the cycle."""
        with translate_disk_errors(self.path, advice=_ADVICE):
            atomic_write_json(self.path / "report.json", report)
            atomic_write_text(self.path / "report.txt", text)

    def read_report(self) -> dict[str, Any] | None:
        """What came of the cycle, as JSON values; None before its end."""
        return self._read("report.json")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Work on the cycle alone. Raises Conflict while another process does."""
        make_directory(self.path)
        try:
            descriptor = acquire_exclusive_lock(self.path / "lock", timeout_s=1.0)
        except LockHeldError:
            raise Conflict(f"Another process works on the cycle {self.id}.", advice="`yearling jobs list` shows it.") from None
        try:
            yield
        finally:
            os.close(descriptor)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            values = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Untrusted(f"The file {name} of the cycle {self.id} is damaged: {error}.", advice="Start a new cycle.") from None
        if not isinstance(values, dict):
            raise Untrusted(f"The file {name} of the cycle {self.id} is damaged.", advice="Start a new cycle.")
        return values


def cycles_dir(settings: Settings) -> Path:
    """The folder of the cycles of an installation."""
    return settings.data_dir / "cycles"


def open_cycle(settings: Settings, cycle_id: str) -> CycleFolder:
    """The folder of a cycle, begun or not. Raises NotFound for what is no id."""
    if not _ID.fullmatch(cycle_id):
        raise NotFound(f"There is no cycle {cycle_id[:64]!r}.", advice="`yearling cycle status` shows the cycles.", param="cycle")
    return CycleFolder(cycles_dir(settings) / cycle_id)


def list_cycles(settings: Settings) -> list[CycleFolder]:
    """The cycles, newest first: ids are time-ordered."""
    root = cycles_dir(settings)
    names = (
        sorted((path.name for path in root.iterdir() if (path / "cycle.json").is_file()), reverse=True) if root.is_dir() else []
    )
    return [CycleFolder(root / name) for name in names if _ID.fullmatch(name)]


def find_cycle(settings: Settings, name: str = "latest") -> CycleFolder:
    """A cycle by its id, the beginning or end of it, or `latest`. Raises NotFound, BadInput if several match."""
    cycles = list_cycles(settings)
    found = cycles[:1] if name == "latest" else [each for each in cycles if each.id.startswith(name) or each.id.endswith(name)]
    if not found or not name:
        raise NotFound("There is no such cycle.", advice="Start one with `yearling cycle`.", param="cycle")
    if len(found) > 1:
        raise BadInput(f"{len(found)} cycles match {name[:64]!r}.", advice="Give more of the id.", param="cycle")
    return found[0]


def new_cycle_id(marker: Path) -> str:
    """The id of the cycle that a job works on, remembered in a file before anything else is done: a kill leaves no second one."""
    if not marker.exists():
        atomic_write_text(marker, new_id())
    return marker.read_text(encoding="ascii")
