"""May a model judge others? Only if it agrees with people on pairs whose better answer is a matter of fact (LLMBar).

The judge sees the instruction and both answers, and the likelier of "1" and "2" is its opinion; then once more with the answers
exchanged. It may gate with an accuracy of 85 % over both orders and the same opinion in both on 95 % of the pairs (Zeng et al.,
2310.07641); otherwise its verdicts are reported only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from yearling.errors import NotFound
from yearling.evals.case import Case, Exam, ExamMetric, GraderCard, SubjectResponse, Verdict
from yearling.evals.statistics import clopper_pearson_interval
from yearling.store import ExamRun, GradedSample

ACCURACY_BAR = 0.85
CONSISTENCY_BAR = 0.95
ORDERS = ("given", "exchanged")

_PROMPT = (
    "Which of two answers follows the instruction better?\n\nInstruction: {asked}\n\nAnswer 1: {first}\n\nAnswer 2: {second}\n\n"
    "Say 1 or 2 and nothing else."
)


@dataclass(frozen=True, slots=True)
class LLMBarPair:
    """An instruction with two answers; `better` is 1 or 2."""

    instruction: str
    first: str
    second: str
    better: int


def load_llmbar_pairs(folder: Path) -> list[LLMBarPair]:
    """The 419 objective pairs of LLMBar. Raises NotFound."""
    paths = sorted(folder.glob("LLMBar_*.json"))
    if not paths:
        raise NotFound(f"There are no LLMBar_*.json in {folder}.", advice="Name the folder of LLMBar.")
    rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    return [LLMBarPair(row["input"], row["output_1"], row["output_2"], int(row["label"])) for row in rows]


class JudgeAccuracyGrader:
    """Right is the answer that is better as a matter of fact. Both orders of a pair are one cluster."""

    name = "judge_order"
    version = "1"
    card = GraderCard(grader="judge_order", kind="exact", note="LLMBar's own labels: which answer follows the instruction.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        right = response.text == case.data["better"]
        return Verdict(score=float(right), label="right" if right else "wrong")

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """How often it is right in each order, and keeps its opinion when the order is exchanged; exact intervals over pairs."""
        is_right = {(sample.cluster, sample.part): sample.score == 1.0 for sample in samples}
        pairs = sorted({sample.cluster for sample in samples})
        counts = {order: sum(is_right[pair, order] for pair in pairs) for order in ORDERS}
        counts["consistency"] = sum(is_right[pair, ORDERS[0]] == is_right[pair, ORDERS[1]] for pair in pairs)
        intervals = {name: clopper_pearson_interval(count, len(pairs)) for name, count in counts.items()}
        return [ExamMetric.from_interval(name, interval, len(pairs)) for name, interval in intervals.items()]


def build_judge_exam(pairs: Sequence[LLMBarPair]) -> Exam:
    """Each pair in both orders. Only the log-probabilities of "1" and "2" are asked for."""
    cases = []
    for at, pair in enumerate(pairs):
        for order, (first, second) in zip(ORDERS, ((pair.first, pair.second), (pair.second, pair.first)), strict=True):
            better = pair.better if order == ORDERS[0] else 3 - pair.better
            prompt = _PROMPT.format(asked=pair.instruction, first=first, second=second)
            case = Case(
                key=f"{at} {order}",
                messages=({"role": "user", "content": prompt},),
                data={"better": str(better)},
                options=("1", "2"),
                part=order,
                cluster=str(at),
            )
            cases.append(case)
    return Exam(
        name="llmbar",
        title="May it judge others?",
        cases=tuple(cases),
        grader=JudgeAccuracyGrader(),
        source="LLMBar, the five objective sets",
        licence="MIT",
        description="Which of two answers follows the instruction, asked in both orders.",
    )


def build_judge_card(run: ExamRun) -> GraderCard:
    """The judge's card from its sitting: accuracy over both orders, and how often it keeps its opinion."""
    measures = {one["name"]: one for one in run.summary["measures"]}
    return GraderCard(
        grader=f"judge:{run.model}",
        kind="judge",
        validated_on="LLMBar, each pair in both orders",
        num_labels=measures["consistency"]["n"],
        accuracy=measures["score"]["value"],
        bar=ACCURACY_BAR,
        consistency=measures["consistency"]["value"],
        consistency_bar=CONSISTENCY_BAR,
    )
