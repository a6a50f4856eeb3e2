"""The report of `yearling bench consensus`: our method beside majority, pooled bound, Polis' measure and plain ALS.

Of the conversations in alphabetical order, the first, third, fifth and so on were used for tuning, the others never. The report
gives both halves separately. A row is the mean over conversations for each seed, then the mean and the 95 % interval (Student's
t) over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.consensus.attacks import run_attacks
from benchmarks.consensus.calibration import measure_reliability
from benchmarks.consensus.later_attacks import run_later_attacks
from benchmarks.consensus.metrics import (
    Measurement,
    measure_division,
    measure_full_data,
    measure_held_out,
    measure_left_out_raters,
    measure_pairwise,
    measure_stability,
)
from benchmarks.consensus.polis import PolisConversation, load_conversations
from benchmarks.consensus.small_teams import measure_team_labels
from benchmarks.consensus.speed import measure_in_subprocess
from yearling.feedback.parameters import ConsensusParameters

TARGETS: dict[tuple[str, str], tuple[str, str]] = {
    ("held-out RMSE", "ours"): (".337", "≤ .335"),
    ("held-out accuracy", "ours"): (".821", "≥ .83"),
    ("Spearman, full data", "ours"): (".953", "≥ .96"),
    ("Spearman, N = 50", "ours"): (".787", "≥ .80"),
    ("Spearman, N = 100", "ours"): (".814", "≥ .83"),
    ("trap AUC, N = 50", "ours"): (".82", "≥ .85"),
    ("trap AUC, N = 100", "ours"): (".87", "≥ .90"),
    ("wrong 'helpful', N = 100", "ours"): (".10", "≤ .08"),
    ("found 'helpful', N = 100", "ours"): (".64", "≥ .60"),
    ("pairwise AUC, 100 × 60", "ours"): (".832", "≥ .85"),
    ("stability, Spearman", "ours"): (".983", "≥ .985"),
    ("stability, top ten", "ours"): (".86", "≥ .90"),
    ("stability, flips", "ours"): (".031", "≤ .02"),
    ("division found", "ours"): (".82", "≥ .96"),
    ("division, false alarms", "ours"): ("0", "0"),
    ("promotion, 10%", "ours"): ("0–.03", "≤ .02"),
    ("promotion, 20%", "ours"): (".03", "≤ .05"),
    ("suppression, camouflaged, 10%", "ours"): (".15–.17", "≤ .10"),
    ("suppression, camouflaged, 20%", "ours"): (".47–.60", "≤ .30"),
    ("suppression, camouflaged, of a standing status, 10%", "ours"): (".15–.17", "≤ .10"),
    ("suppression, camouflaged, of a standing status, 20%", "ours"): (".47–.60", "≤ .30"),
    ("drive-by promotion, 50%", "ours"): (".23", "≤ .02"),
    ("drive-by suppression, 50%", "ours"): (".23", "≤ .02"),
}
"""Best known value and goal of each measure.

The known values come from 17 conversations with references that are not all public, so they are only roughly comparable.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One row of the report: mean and half width of the interval for each half of the conversations."""

    measure: str
    method: str
    tuned: tuple[float, float]
    untouched: tuple[float, float]
    conversations: tuple[int, int]
    known: str
    goal: str


def split_tuned_and_untouched(
    conversations: Sequence[PolisConversation],
) -> tuple[list[PolisConversation], list[PolisConversation]]:
    """Split conversations in alphabetical order into those used for tuning and untouched ones, alternately."""
    return list(conversations[0::2]), list(conversations[1::2])


def measure_consensus(
    folder: Path, *, seeds: int = 5, with_attacks: bool = True, consensus_parameters: ConsensusParameters | None = None
) -> Iterator[ReportRow]:
    """Yield all rows from the Polis conversations under `folder`, as they are measured. Raises NotFound if there are none."""
    parameters = consensus_parameters or ConsensusParameters()
    seed_range = range(seeds)
    parts = split_tuned_and_untouched(load_conversations(folder))
    steps: list[Callable[[list[PolisConversation]], list[Measurement]]] = [
        lambda cs: measure_held_out(cs, seed_range, parameters),
        lambda cs: measure_full_data(cs, parameters),
        lambda cs: measure_left_out_raters(cs, 50, seed_range, parameters),
        lambda cs: measure_left_out_raters(cs, 100, seed_range, parameters),
        lambda cs: _add_measure_note(
            measure_left_out_raters(cs, 100, seed_range, parameters, use_published_groups=True), "Polis' own groups"
        ),
        lambda cs: measure_pairwise(cs, seed_range, parameters),
        lambda cs: measure_reliability(cs, seed_range, parameters),
        lambda cs: measure_reliability(cs, seed_range, parameters, num_raters=20, comparisons_per_rater=20),
        lambda cs: measure_stability(cs, seed_range, parameters),
        lambda cs: measure_division(cs, seed_range, parameters),
        lambda cs: measure_team_labels(cs, seed_range, parameters),
    ]
    if with_attacks:
        steps.append(lambda cs: run_attacks(cs, seed_range, parameters))
        steps.append(lambda cs: run_later_attacks(cs, seed_range, parameters))
    for step in steps:
        yield from summarise_measurements(step(parts[0]), step(parts[1]))


def _add_measure_note(measurements: list[Measurement], note: str) -> list[Measurement]:
    return [replace(measurement, measure=f"{measurement.measure}, {note}") for measurement in measurements]


def summarise_measurements(tuned: Sequence[Measurement], untouched: Sequence[Measurement]) -> list[ReportRow]:
    """Return a row for each measure and method, in the order in which they first occur."""
    keys = list(dict.fromkeys((m.measure, m.method) for m in (*tuned, *untouched)))
    rows = []
    for measure, method in keys:
        halves = [[m for m in half if (m.measure, m.method) == (measure, method)] for half in (tuned, untouched)]
        known, goal = TARGETS.get((measure, method), ("", ""))
        rows.append(
            ReportRow(
                measure=measure,
                method=method,
                tuned=mean_and_half_width(halves[0]),
                untouched=mean_and_half_width(halves[1]),
                conversations=(len({m.conversation for m in halves[0]}), len({m.conversation for m in halves[1]})),
                known=known,
                goal=goal,
            )
        )
    return rows


def mean_and_half_width(measurements: Sequence[Measurement]) -> tuple[float, float]:
    """Mean over seeds of the mean over conversations, and the half width of its 95 % interval.

    The half width is NaN for a single seed; both are NaN without measurements.
    """
    by_seed: dict[int, list[float]] = {}
    for measurement in measurements:
        if not np.isnan(measurement.value):
            by_seed.setdefault(measurement.seed, []).append(measurement.value)
    means = np.array([np.mean(values) for values in by_seed.values()])
    if not means.size:
        return float("nan"), float("nan")
    if means.size == 1:
        return float(means[0]), float("nan")
    half_width = float(stats.t.ppf(0.975, means.size - 1) * means.std(ddof=1) / np.sqrt(means.size))
    return float(means.mean()), half_width


def measure_speeds(*, million_events: bool = False) -> list[dict[str, Any]]:
    """Measure the processor time and memory of fits of a million ratings, and of full runs of 100,000.

    The full run is measured twice, to compare its bytes. `million_events` adds a full run of a million events.
    """
    jobs = [("plain", 1_000_000), ("ours", 1_000_000), ("prediction", 1_000_000), ("pipeline", 100_000), ("pipeline", 100_000)]
    if million_events:
        jobs.append(("pipeline", 1_000_000))
    return [measure_in_subprocess(workload, num_ratings) for workload, num_ratings in jobs]
