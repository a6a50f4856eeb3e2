"""Compares two runs of one exam case by case, and says whether the result may decide anything."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from yearling.errors import BadInput
from yearling.evals.paired_tests import PairedTestLevels, PairedTestResult, difference_interval, paired_test_from_scores
from yearling.evals.preference_correlation import PreferenceCorrelation
from yearling.evals.statistics import Interval
from yearling.store import ExamRun, GradedSample, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePair:
    """One case in both runs: the mean score and the first answer of each."""

    key: str
    part: str
    champion: float
    challenger: float
    champion_text: str
    challenger_text: str
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamComparison:
    """Two runs of one exam, paired by case. `interval` is for the challenger's mean score less the champion's."""

    exam: str
    champion: ExamRun
    challenger: ExamRun
    interval: Interval
    paired: PairedTestResult
    pairs: tuple[CasePair, ...]
    may_gate: bool
    """Whether the grader has proved that its verdicts may decide a release."""

    def most_changed(self, *, better: bool, limit: int = 10) -> list[CasePair]:
        """The cases whose score improved most, or with `better=False` fell most."""
        sign = 1 if better else -1
        changed = [pair for pair in self.pairs if sign * (pair.challenger - pair.champion) > 0]
        return sorted(changed, key=lambda pair: (-abs(pair.challenger - pair.champion), pair.key))[:limit]


def compare_runs(store: Store, champion_id: str, challenger_id: str, levels: PairedTestLevels | None = None) -> ExamComparison:
    """Compare two finished runs of the same exam.

    Raises NotFound for unknown runs, and BadInput for runs that are unfinished or that differ in their exam, its options or the
    kind of subject.
    """
    champion, challenger = store.exams.get(champion_id), store.exams.get(challenger_id)
    for run in (champion, challenger):
        if run.finished_utc is None:
            raise BadInput(f"The exam run {run.id} is not finished.", advice=f"Resume it with `yearling exam run {run.exam}`.")
    if champion.exam_hash != challenger.exam_hash or champion.subject != challenger.subject:
        raise BadInput(
            "The two runs cannot be paired: they differ in the exam, its options or the kind of subject.",
            advice="Run the same exam with the same options on both models.",
        )
    pairs, clusters = _pair_cases(store.exams.list_samples(champion.id), store.exams.list_samples(challenger.id))
    champion_scores, challenger_scores = [pair.champion for pair in pairs], [pair.challenger for pair in pairs]
    return ExamComparison(
        exam=champion.exam,
        champion=champion,
        challenger=challenger,
        interval=difference_interval(champion_scores, challenger_scores, clusters),
        paired=paired_test_from_scores(champion_scores, challenger_scores, clusters, levels),
        pairs=tuple(pairs),
        may_gate=bool(challenger.settings.get("card", {}).get("may_gate")),
    )


def find_gating_objection(comparison: ExamComparison, correlations: Sequence[PreferenceCorrelation] = ()) -> str:
    """Why the comparison may not decide a release, as a clause of a sentence; empty if it may.

    Either its grader has not proved that it agrees with people, or its scores do not follow what people prefer.
    """
    for correlation in correlations:
        if correlation.exam == comparison.exam and not correlation.may_gate:
            value = "undefined" if correlation.correlation is None else f"{correlation.correlation:.2f}"
            return f"over {correlation.checkpoints} checkpoints its correlation with blind preference is {value}"
    return "" if comparison.may_gate else f"its grader ({comparison.challenger.grader}) has not passed its own exam"


def last_user_text(messages: Sequence[Mapping[str, object]]) -> str:
    """The last message of the user, or an empty text."""
    return next((str(message.get("content") or "") for message in reversed(messages) if message.get("role") == "user"), "")


def _pair_cases(
    champion_samples: Sequence[GradedSample], challenger_samples: Sequence[GradedSample]
) -> tuple[list[CasePair], list[str]]:
    """The cases of both runs, and the cluster of each."""
    champion_cases, challenger_cases = _by_case(champion_samples), _by_case(challenger_samples)
    if set(champion_cases) != set(challenger_cases):
        raise BadInput("The two runs have different cases.")
    pairs, clusters = [], []
    for key, champion in champion_cases.items():
        challenger = challenger_cases[key]
        clusters.append(champion[0].cluster)
        pairs.append(
            CasePair(
                key=key,
                part=champion[0].part,
                champion=_mean_score(champion),
                challenger=_mean_score(challenger),
                champion_text=champion[0].output_text,
                challenger_text=challenger[0].output_text,
                prompt=last_user_text(champion[0].messages),
            )
        )
    return pairs, clusters


def _by_case(samples: Sequence[GradedSample]) -> dict[str, list[GradedSample]]:
    cases: defaultdict[str, list[GradedSample]] = defaultdict(list)
    for sample in samples:
        cases[sample.case_key].append(sample)
    return dict(cases)


def _mean_score(samples: Sequence[GradedSample]) -> float:
    return sum(sample.score for sample in samples) / len(samples)
