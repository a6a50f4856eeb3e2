"""The exam of a judge: may a model grade others? It must agree with people on pairs with an objectively better answer (LLMBar).

The judge sees an instruction and two answers, and the likelier of "1" and "2" is its opinion. It then sees the same answers in
the opposite order. It may gate if its accuracy over both orders reaches ACCURACY_BAR, and if it keeps its opinion on a share of
CONSISTENCY_BAR of the pairs (Zeng et al., 2310.07641). Otherwise its verdicts are only reported.
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
    """An instruction with two answers. `better` is 1 or 2."""

    instruction: str
    first: str
    second: str
    better: int


def load_llmbar_pairs(folder: Path) -> list[LLMBarPair]:
    """The 419 objective pairs of LLMBar. Raises NotFound if the folder has none."""
    paths = sorted(folder.glob("LLMBar_*.json"))
    if not paths:
        raise NotFound(f"There is no LLMBar_*.json in {folder}.", advice="Name the folder that contains LLMBar.")
    rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    return [LLMBarPair(row["input"], row["output_1"], row["output_2"], int(row["label"])) for row in rows]


class JudgeAccuracyGrader:
    """Passes a judge that names the objectively better answer. Both orders of a pair are one cluster."""

    name = "judge_order"
    version = "1"
    card = GraderCard(grader="judge_order", kind="exact", note="LLMBar's own labels: which answer follows the instruction.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class."""
        is_right = response.text == case.data["better"]
        return Verdict(score=float(is_right), label="right" if is_right else "wrong")

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """Accuracy in each order, and how often the judge keeps its opinion. Intervals are exact, over pairs."""
        is_right = {(sample.cluster, sample.part): sample.score == 1.0 for sample in samples}
        pairs = sorted({sample.cluster for sample in samples})
        counts = {order: sum(is_right[pair, order] for pair in pairs) for order in ORDERS}
        counts["consistency"] = sum(is_right[pair, ORDERS[0]] == is_right[pair, ORDERS[1]] for pair in pairs)
        intervals = {name: clopper_pearson_interval(count, len(pairs)) for name, count in counts.items()}
        return [ExamMetric.from_interval(name, interval, len(pairs)) for name, interval in intervals.items()]


def build_judge_exam(pairs: Sequence[LLMBarPair]) -> Exam:
    """The exam: each pair in both orders. Subjects only score the options "1" and "2"."""
    cases = []
    for index, pair in enumerate(pairs):
        for order, (first, second) in zip(ORDERS, ((pair.first, pair.second), (pair.second, pair.first)), strict=True):
            better = pair.better if order == ORDERS[0] else 3 - pair.better
            prompt = _PROMPT.format(asked=pair.instruction, first=first, second=second)
            case = Case(
                key=f"{index} {order}",
                messages=({"role": "user", "content": prompt},),
                data={"better": str(better)},
                options=("1", "2"),
                part=order,
                cluster=str(index),
            )
            cases.append(case)
    return Exam(
        name="llmbar",
        title="LLMBar: may the model judge others?",
        cases=tuple(cases),
        grader=JudgeAccuracyGrader(),
        source="LLMBar, the five objective sets",
        licence="MIT",
        description="Which of two answers follows the instruction, in both orders.",
    )


def build_judge_card(run: ExamRun) -> GraderCard:
    """The card of a judge from the run of its exam: accuracy over both orders, and consistency."""
    metrics = {metric["name"]: metric for metric in run.summary["measures"]}
    return GraderCard(
        grader=f"judge:{run.model}",
        kind="judge",
        validated_on="LLMBar, each pair in both orders",
        num_labels=metrics["consistency"]["n"],
        accuracy=metrics["score"]["value"],
        bar=ACCURACY_BAR,
        consistency=metrics["consistency"]["value"],
        consistency_bar=CONSISTENCY_BAR,
    )
