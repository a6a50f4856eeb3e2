"""How often a grader agrees with people on labelled answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GraderAgreement:
    """Agreement with people on one half of a set of labelled answers."""

    source: str
    """Where the labels come from."""
    half: str
    """`made on` or `fitted on` for the half that the grader was developed on, `untouched` for the one that counts."""
    labels: int
    accuracy: float
    recall: float
    precision: float


def measure_agreement(source: str, half: str, outcomes: Sequence[tuple[bool, bool]]) -> GraderAgreement:
    """From (label of the person, verdict of the grader) for each answer."""
    true_positives = sum(1 for label, verdict in outcomes if label and verdict)
    return GraderAgreement(
        source=source,
        half=half,
        labels=len(outcomes),
        accuracy=sum(label == verdict for label, verdict in outcomes) / max(1, len(outcomes)),
        recall=true_positives / max(1, sum(label for label, _ in outcomes)),
        precision=true_positives / max(1, sum(verdict for _, verdict in outcomes)),
    )
