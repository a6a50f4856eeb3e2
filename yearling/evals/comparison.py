"""Two runs of one exam, case by case: difference with interval, test, which cases turned; and the gate over several exams."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from yearling.errors import BadInput
from yearling.evals.gate import GateResult, GateRule, PairedTestResult, decide_gate, difference_interval, paired_test_from_scores
from yearling.evals.preference_correlation import PreferenceCorrelation
from yearling.evals.statistics import Interval
from yearling.store import ExamRun, GradedSample, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePair:
    """One case in both runs, with the mean scores and the first answers."""

    key: str
    part: str
    champion: float
    challenger: float
    champion_text: str
    challenger_text: str
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamComparison:
    """`interval` is of the challenger's mean score less the champion's."""

    exam: str
    champion: ExamRun
    challenger: ExamRun
    interval: Interval
    paired: PairedTestResult
    pairs: tuple[CasePair, ...]
    may_gate: bool

    def most_changed(self, *, better: bool, limit: int = 10) -> list[CasePair]:
        """The cases that changed most in that direction."""
        sign = 1 if better else -1
        moved = [pair for pair in self.pairs if sign * (pair.challenger - pair.champion) > 0]
        return sorted(moved, key=lambda pair: (-abs(pair.challenger - pair.champion), pair.key))[:limit]


def compare_runs(store: Store, champion_id: str, challenger_id: str, rule: GateRule | None = None) -> ExamComparison:
    """Raises BadInput for runs that are not finished or not of the same exam, put the same way to both."""
    champion, challenger = store.exams.get(champion_id), store.exams.get(challenger_id)
    for run in (champion, challenger):
        if run.finished_utc is None:
            raise BadInput(f"The exam run {run.id} is not finished.", advice=f"Go on with `yearling exam run {run.exam}`.")
    if champion.exam_hash != challenger.exam_hash or champion.subject != challenger.subject:
        raise BadInput(
            "The two runs are not of the same exam, put the same way: their answers cannot be paired.",
            advice="Run the same exam with the same options on both models.",
        )
    pairs, clusters = _pair_cases(store.exams.list_samples(champion.id), store.exams.list_samples(challenger.id))
    old, new = [pair.champion for pair in pairs], [pair.challenger for pair in pairs]
    return ExamComparison(
        exam=champion.exam,
        champion=champion,
        challenger=challenger,
        interval=difference_interval(old, new, clusters),
        paired=paired_test_from_scores(old, new, clusters, rule),
        pairs=tuple(pairs),
        may_gate=bool(challenger.settings.get("card", {}).get("may_gate")),
    )


def evaluate_gate(
    targets: Sequence[ExamComparison],
    guards: Sequence[ExamComparison],
    rule: GateRule | None = None,
    *,
    correlations: Sequence[PreferenceCorrelation] = (),
) -> GateResult:
    """The decision over several exams. Raises BadInput when a grader may not gate, or when people do not follow a suite."""
    powerless = {one.suite: one for one in correlations if not one.may_gate}
    for one in (*targets, *guards):
        if lost := powerless.get(one.exam):
            shown = "none" if lost.correlation is None else f"{lost.correlation:.2f}"
            raise BadInput(
                f"The exam {one.exam} may not gate: over {lost.checkpoints} checkpoints its correlation with what people prefer "
                f"blind is {shown}. {lost.said}",
                advice="Its results are reported only; leave it out.",
            )
        if not one.may_gate:
            raise BadInput(
                f"The grader {one.challenger.grader} of the exam {one.exam} has not passed its own exam, so it may not gate.",
                advice="Its results are reported only; leave it out.",
            )
    return decide_gate(_paired_by_exam(targets), _paired_by_exam(guards), rule)


def gate_to_json(result: GateResult, runs: Mapping[str, ExamComparison]) -> dict[str, Any]:
    """A decision with everything that it rests on, as plain JSON."""
    return {
        "decision": result.decision,
        "rule": asdict(result.rule),
        "findings": [
            {
                **asdict(finding),
                "champion_run": runs[finding.exam].champion.id,
                "challenger_run": runs[finding.exam].challenger.id,
                "interval": asdict(runs[finding.exam].interval),
            }
            for finding in result.findings
        ],
    }


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the person asked last."""
    return next((str(one.get("content") or "") for one in reversed(messages) if one.get("role") == "user"), "")


def _paired_by_exam(comparisons: Sequence[ExamComparison]) -> dict[str, PairedTestResult]:
    return {one.exam: one.paired for one in comparisons}


def _pair_cases(old: Sequence[GradedSample], new: Sequence[GradedSample]) -> tuple[list[CasePair], list[str]]:
    before, after = _by_case(old), _by_case(new)
    if set(before) != set(after):
        raise BadInput("The two runs have different cases.")
    pairs, clusters = [], []
    for key, first in before.items():
        second = after[key]
        clusters.append(first[0].cluster)
        pairs.append(
            CasePair(
                key=key,
                part=first[0].part,
                champion=_mean(first),
                challenger=_mean(second),
                champion_text=first[0].output_text,
                challenger_text=second[0].output_text,
                prompt=last_user_text(first[0].messages),
            )
        )
    return pairs, clusters


def _by_case(samples: Sequence[GradedSample]) -> dict[str, list[GradedSample]]:
    cases: defaultdict[str, list[GradedSample]] = defaultdict(list)
    for sample in samples:
        cases[sample.case_key].append(sample)
    return dict(cases)


def _mean(samples: Sequence[GradedSample]) -> float:
    return sum(sample.score for sample in samples) / len(samples)
