"""Questions with short answers: Natural Questions (open), the same with stated confidence, Chinese reading (CMRC 2018)."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from yearling.evals.case import Case, Exam, ExamMetric, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.graders.answers import contains_reference, matches_reference
from yearling.evals.graders.calibration import auroc, bootstrap_metric_interval, brier_score, expected_calibration_error
from yearling.store import GradedSample

SHORT_ANSWER_CARD = GraderCard(
    grader="short_answer",
    kind="rules",
    validated_on="EfficientQA test, the half of 4,902 judged predictions that its rules were not made on",
    num_labels=2483,
    accuracy=0.909,
    bar=0.93,
    recall=0.479,
    note="Precision .816. Literal matches, the easy ones, are not among the labels; most that it misses no reference says.",
)
_PERCENT = re.compile(r"(\d{1,3})(?:\.\d+)?\s*%")
_CHINESE = re.compile(r"[\u4e00-\u9fffA-Za-z0-9]")
ANSWER_INSTRUCTION = "\n\nAnswer with a few words only."
CONFIDENCE_INSTRUCTION = '\n\nAnswer with a few words only, and on a second line write how sure you are, like "Confidence: 70%".'


class ShortAnswerGrader:
    """Right is what says the same as a reference; the first line counts."""

    name = "short_answer"
    version = "2"
    card = SHORT_ANSWER_CARD

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        first = next((line for line in response.text.strip().splitlines() if line.strip()), "")
        references = case.data["references"]
        short = len(first.split()) <= 8
        right = matches_reference(first, references) if short else contains_reference(first, references)
        return Verdict(score=float(right), label="right" if right else "wrong", detail={"judged": first[:200]})


class ConfidenceGrader(ShortAnswerGrader):
    """The same, with the confidence that the answer states; calibration is over the answers that state one."""

    name = "stated_confidence"

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        found = super().grade(case, response)
        stated = _PERCENT.findall(response.text)
        confidence = min(100, int(stated[-1])) / 100 if stated else None
        return Verdict(
            score=found.score,
            label=found.label,
            ratios={"states_confidence": (float(confidence is not None), 1.0)},
            detail={**found.detail, "confidence": confidence},
        )

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """ECE, Brier score and AUROC of the stated confidence."""
        stating = [sample for sample in samples if sample.verdict["detail"].get("confidence") is not None]
        confidence = [float(sample.verdict["detail"]["confidence"]) for sample in stating]
        correct = [sample.score == 1 for sample in stating]
        metrics = []
        for name, metric, higher_is_better in (
            ("ece", expected_calibration_error, False),
            ("brier", brier_score, False),
            ("auroc", auroc, True),
        ):
            interval = bootstrap_metric_interval(metric, confidence, correct)
            metrics.append(ExamMetric.from_interval(name, interval, len(stating), higher_is_better=higher_is_better))
        return metrics


class ChineseAnswerGrader:
    """Exact match after dropping everything but letters, digits and characters, as CMRC 2018 grades; F1 beside it."""

    name = "chinese_answer"
    version = "1"
    card = GraderCard(grader="chinese_answer", kind="exact", note="The benchmark's own rule: exact match and F1.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        said = _normalise_characters(response.text)
        wanted = [_normalise_characters(one) for one in case.data["references"]]
        right = any(said == one for one in wanted)
        return Verdict(
            score=float(right),
            label="right" if right else "wrong",
            ratios={
                "f1": (max(_longest_match_f1(said, one) for one in wanted), 1.0),
                "contains": (float(any(one and one in said for one in wanted)), 1.0),
            },
        )


def build_nq_open(folders: ExamDataFolders) -> Exam:
    """Raises NotFound without the user's folder."""
    return Exam(
        name="nq-open",
        title="Natural Questions, open",
        cases=_nq_cases(folders, "nq-open", ANSWER_INSTRUCTION),
        grader=ShortAnswerGrader(),
        sampling={"temperature": 0.0, "max_tokens": 48},
        source="https://github.com/google-research-datasets/natural-questions",
        licence="Apache-2.0",
        description="Lee et al. 2019; Kwiatkowski et al. 2019. Closed book. The grader has not reached its bar and only reports.",
    )


def build_calibration(folders: ExamDataFolders) -> Exam:
    """Raises NotFound without the user's folder."""
    return Exam(
        name="calibration",
        title="Stated confidence on Natural Questions",
        cases=_nq_cases(folders, "calibration", CONFIDENCE_INSTRUCTION)[:1000],
        grader=ConfidenceGrader(),
        sampling={"temperature": 0.0, "max_tokens": 64},
        source="https://github.com/google-research-datasets/natural-questions",
        licence="Apache-2.0",
        description="Is a stated confidence worth anything? ECE, Brier score and AUROC over the answers that state one.",
    )


def build_cmrc2018(folders: ExamDataFolders) -> Exam:
    """Raises NotFound without the user's folder."""
    table = json.loads(folders.user_file("cmrc2018", "cmrc2018", "cmrc2018_dev.json").read_text(encoding="utf-8"))
    cases = tuple(
        Case(
            key=question["id"],
            messages=(
                {"role": "user", "content": f"{part['context']}\n\n问题：{question['question']}\n请只用原文中的词语回答。"},
            ),
            data={"references": list(dict.fromkeys(answer["text"] for answer in question["answers"]))},
            cluster=part["id"],
        )
        for article in table["data"]
        for part in article["paragraphs"]
        for question in part["qas"]
    )
    return Exam(
        name="cmrc2018",
        title="CMRC 2018: Chinese reading",
        cases=cases,
        grader=ChineseAnswerGrader(),
        sampling={"temperature": 0.0, "max_tokens": 64},
        source="https://github.com/ymcui/cmrc2018",
        licence="CC-BY-SA-4.0",
        description="Cui et al. 2019. Score: exact match; questions on one text are one cluster.",
    )


def _nq_cases(folders: ExamDataFolders, exam: str, instruction: str) -> tuple[Case, ...]:
    rows = [
        json.loads(line)
        for line in folders.user_file(exam, "nq_open", "NQ-open.dev.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return tuple(
        Case(
            key=f"dev {at}",
            messages=({"role": "user", "content": f"{row['question'].capitalize()}?{instruction}"},),
            data={"references": row["answer"]},
        )
        for at, row in enumerate(rows)
    )


def _normalise_characters(text: str) -> str:
    return "".join(_CHINESE.findall(text.lower()))


def _longest_match_f1(said: str, wanted: str) -> float:
    """From the longest run that both share, as the benchmark's evaluation script does."""
    if not said or not wanted:
        return 0.0
    from difflib import SequenceMatcher

    shared = SequenceMatcher(None, said, wanted, autojunk=False).find_longest_match().size
    return 2 * shared / (len(said) + len(wanted))
