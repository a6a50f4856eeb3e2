"""A server on which three cycles have ended: one trained the adapter of the release site, one a model that the gate refused, and
one a model that answers no longer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.web.release_site import BASE, ReleaseSite, serve_releases
from yearling.clock import new_id, now_utc
from yearling.loop import CycleFolder, CycleOptions
from yearling.loop.cycle.folder import CycleOutcome, StepRecord

_STEPS = ("consensus", "lessons", "training", "exams", "gate")
_EXAMPLE = {"prompt": "How many legs has a spider?", "before": "Six.", "after": "Eight.", "scores": [0.0, 1.0]}


@dataclass(frozen=True)
class CycleSite:
    site: ReleaseSite
    measured: str
    refused: str
    replaced: str

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {**self.site.facts, "measured": self.measured, "refused": self.refused, "replaced": self.replaced}


@contextmanager
def serve_cycles(folder: Path) -> Iterator[CycleSite]:
    with serve_releases(folder) as site:
        replaced = write_cycle(
            folder, f"{BASE}+{'ef' * 6}", "promoted", "The model that answers now is Release 7.", practice=True
        )
        refused = write_cycle(folder, f"{BASE}+{'cd' * 6}", "refused", "Not proven: 3 pairs can show only a gain of 60 points.")
        measured = write_cycle(folder, site.adapter, "measured", "The new model is tested, as asked, and not in use yet.")
        write_exams(site, folder, measured)
        yield CycleSite(site, measured, refused, replaced)


def write_exams(site: ReleaseSite, data_dir: Path, cycle: str) -> None:
    """The exams that the release site has of both models, with what they cost."""
    trained, first = site.store.exams.list(exam="facts")
    result = {
        "champion": [{"exam": "facts", "run": first.id, "model_hash": first.model_hash, "samples": 4, "cpu_s": 3.0}],
        "challenger": [{"exam": "facts", "run": trained.id, "model_hash": trained.model_hash, "samples": 4, "cpu_s": 2.0}],
    }
    now = now_utc()
    step = StepRecord(name="exams", result=result, started_utc=now, ended_utc=now, cpu_s=5.0, joules=60.0)
    CycleFolder(data_dir / "cycles" / cycle).write_step(step)


def write_cycle(data_dir: Path, model: str, outcome: CycleOutcome, why: str, *, practice: bool = False) -> str:
    """An ended cycle that trained `model`, with a report. Returns its id."""
    folder = CycleFolder(data_dir / "cycles" / new_id())
    folder.begin(CycleOptions(until="gate"), champion=BASE, champion_hash="c" * 64, base=BASE, program_version="1")
    now = now_utc()
    for name in _STEPS:
        result = {"model": model, "run": "r"} if name == "training" else {}
        folder.write_step(StepRecord(name=name, result=result, started_utc=now, ended_utc=now, cpu_s=60.0))
    change = {"interval": {"value": 0.25, "low": 0.05, "high": 0.45}, "wins": 2, "losses": 1}
    better = {"exam": "facts", **change, "won": [_EXAMPLE], "lost": []}
    report = {
        "challenger": model,
        "learnt": {"num_lessons": 20, "num_judgements": 0 if practice else 60, "num_people": 0 if practice else 3},
        "better": [better] if outcome == "measured" else [],
        "worse": [],
        "proof": why,
        "cost": {"cpu_s": 300.0, "duration_s": 420.0, "cpu_s_per_lesson": 3.0, "token_change": -0.2, "joules": 7200.0},
    }
    folder.write_end(outcome, why)
    folder.write_report(report, "report\n")
    return folder.id
