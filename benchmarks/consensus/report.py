"""The table of figures to beat, in one run: ours beside majority, pooled bound, Polis' measure and plain ALS.

Conversations in alphabetical order; the first, third, fifth … were used for tuning, the others never. Both halves are reported
apart. A line is the mean over conversations for each seed, then mean and 95 % interval (Student's t) over seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from yearling.feedback.parameters import ConsensusParameters

if TYPE_CHECKING:
    from benchmarks.consensus.metrics import Measurement
    from benchmarks.consensus.polis import PolisConversation

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
"""Best known figure and goal; measured on 17 conversations with references that are not all public, so levels compare roughly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One line of the table: mean and half width of the interval for each half of the conversations."""

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
    """Conversations for tuning and untouched ones: every other one in alphabetical order."""
    return list(conversations[0::2]), list(conversations[1::2])


def measure_consensus(
    folder: Path, *, seeds: int = 5, with_attacks: bool = True, p: ConsensusParameters | None = None
) -> Iterator[ReportRow]:
    """All lines that come from Polis conversations, as they are measured."""
    # Here, so that who opens the door of the room does not load what only measures.
    from benchmarks.consensus import attacks, calibration, polis
    from benchmarks.consensus import metrics as figures

    parameters = p or ConsensusParameters()
    many = range(seeds)
    parts = split_tuned_and_untouched(polis.load_conversations(folder))
    steps: list[Callable[[list[PolisConversation]], list[Measurement]]] = [
        lambda cs: figures.measure_held_out(cs, many, parameters),
        lambda cs: figures.measure_full_data(cs, parameters),
        lambda cs: figures.measure_left_out_raters(cs, 50, many, parameters),
        lambda cs: figures.measure_left_out_raters(cs, 100, many, parameters),
        lambda cs: _add_measure_note(
            figures.measure_left_out_raters(cs, 100, many, parameters, use_published_groups=True), "Polis' own groups"
        ),
        lambda cs: figures.measure_pairwise(cs, many, parameters),
        lambda cs: calibration.measure_reliability(cs, many, parameters),
        lambda cs: calibration.measure_reliability(cs, many, parameters, num_raters=20, comparisons_per_rater=20),
        lambda cs: figures.measure_stability(cs, many, parameters),
        lambda cs: figures.measure_division(cs, many, parameters),
    ]
    if with_attacks:
        steps.append(lambda cs: attacks.run_attacks(cs, many, parameters))
    for step in steps:
        yield from summarise_measurements(step(parts[0]), step(parts[1]))


def _add_measure_note(measurements: list[Measurement], note: str) -> list[Measurement]:
    return [replace(figure, measure=f"{figure.measure}, {note}") for figure in measurements]


def summarise_measurements(tuned: Sequence[Measurement], untouched: Sequence[Measurement]) -> list[ReportRow]:
    """Summaries by measure and method, in the order of first occurrence."""
    keys = list(dict.fromkeys((figure.measure, figure.method) for figure in (*tuned, *untouched)))
    result = []
    for measure, method in keys:
        parts = [[f for f in part if (f.measure, f.method) == (measure, method)] for part in (tuned, untouched)]
        known, goal = TARGETS.get((measure, method), ("", ""))
        result.append(
            ReportRow(
                measure=measure,
                method=method,
                tuned=mean_and_half_width(parts[0]),
                untouched=mean_and_half_width(parts[1]),
                conversations=(len({f.conversation for f in parts[0]}), len({f.conversation for f in parts[1]})),
                known=known,
                goal=goal,
            )
        )
    return result


def mean_and_half_width(measurements: Sequence[Measurement]) -> tuple[float, float]:
    """Mean over seeds of the mean over conversations, and the half width of its 95 % interval; NaN for no figures."""
    by_seed: dict[int, list[float]] = {}
    for figure in measurements:
        if not np.isnan(figure.value):
            by_seed.setdefault(figure.seed, []).append(figure.value)
    means = np.array([np.mean(values) for values in by_seed.values()])
    if not means.size:
        return float("nan"), float("nan")
    if means.size == 1:
        return float(means[0]), float("nan")
    from scipy import stats

    half = float(stats.t.ppf(0.975, means.size - 1) * means.std(ddof=1) / np.sqrt(means.size))
    return float(means.mean()), half


def measure_speeds(*, million_events: bool = False) -> list[dict[str, Any]]:
    """Processor time and memory of fits of a million ratings and of the whole run, twice for the comparison of bytes."""
    from benchmarks.consensus import speed

    jobs = [("plain", 1_000_000), ("ours", 1_000_000), ("prediction", 1_000_000), ("pipeline", 100_000), ("pipeline", 100_000)]
    if million_events:
        jobs.append(("pipeline", 1_000_000))
    return [speed.measure_in_subprocess(what, count) for what, count in jobs]
