"""Questions with short answers: Natural Questions (open), the same with stated confidence, and CMRC 2018 (Chinese reading).

Lee et al. 2019; Kwiatkowski et al. 2019; Cui et al. 2019.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from yearling.evals.case import Case, Exam, ExamMetric, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.graders.answers import contains_reference, matches_reference
from yearling.evals.graders.calibration import auroc, bootstrap_metric_interval, brier_score, expected_calibration_error
from yearling.store import GradedSample

SHORT_ANSWER_CARD = GraderCard(
    grader="short_answer",
    kind="rules",
    validated_on="EfficientQA test, the half of 4,902 judged predictions that its rules were not developed on",
    num_labels=2483,
    accuracy=0.909,
    bar=0.93,
    recall=0.479,
    note="Precision .816. The labels exclude literal matches, the easy ones; it mostly misses right answers in no reference.",
)
_MAX_SHORT_ANSWER_WORDS = 8
_PERCENT = re.compile(r"(\d{1,3})(?:\.\d+)?\s*%")
_CHINESE = re.compile(r"[\u4e00-\u9fffA-Za-z0-9]")
ANSWER_INSTRUCTION = "\n\nAnswer with a few words only."
CONFIDENCE_INSTRUCTION = '\n\nAnswer with a few words only, and on a second line write how sure you are, like "Confidence: 70%".'


class ShortAnswerGrader:
    """Passes an answer whose first line means the same as a reference."""

    name = "short_answer"
    version = "2"
    card = SHORT_ANSWER_CARD

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class. A first line of more than a few words only has to contain a reference."""
        first_line = next((line for line in response.text.strip().splitlines() if line.strip()), "")
        references = case.data["references"]
        is_short = len(first_line.split()) <= _MAX_SHORT_ANSWER_WORDS
        is_right = matches_reference(first_line, references) if is_short else contains_reference(first_line, references)
        return Verdict(score=float(is_right), label="right" if is_right else "wrong", detail={"judged": first_line[:200]})


class ConfidenceGrader(ShortAnswerGrader):
    """The same, with the confidence that the answer states. Calibration covers the answers that state one."""

    name = "stated_confidence"

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class. The last percentage counts."""
        verdict = super().grade(case, response)
        percentages = _PERCENT.findall(response.text)
        confidence = min(100, int(percentages[-1])) / 100 if percentages else None
        return Verdict(
            score=verdict.score,
            label=verdict.label,
            ratios={"states_confidence": (float(confidence is not None), 1.0)},
            detail={**verdict.detail, "confidence": confidence},
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
    """Exact match of letters, digits and Chinese characters alone, as in CMRC 2018, with F1 as a further metric."""

    name = "chinese_answer"
    version = "1"
    card = GraderCard(grader="chinese_answer", kind="exact", note="The benchmark's own rule: exact match and F1.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class."""
        answer = _normalise_characters(response.text)
        references = [_normalise_characters(reference) for reference in case.data["references"]]
        is_right = answer in references
        return Verdict(
            score=float(is_right),
            label="right" if is_right else "wrong",
            ratios={
                "f1": (max(_longest_match_f1(answer, reference) for reference in references), 1.0),
                "contains": (float(any(reference and reference in answer for reference in references)), 1.0),
            },
        )


def build_nq_open(folders: ExamDataFolders) -> Exam:
    """The exam. Raises NotFound without the data set in the user's folder."""
    return Exam(
        name="nq-open",
        title="Natural Questions, open",
        cases=_nq_cases(folders, "nq-open", ANSWER_INSTRUCTION),
        grader=ShortAnswerGrader(),
        sampling={"temperature": 0.0, "max_tokens": 48},
        source="https://github.com/google-research-datasets/natural-questions",
        licence="Apache-2.0",
        description="Lee et al. 2019; Kwiatkowski et al. 2019. Closed book. The grader is below its bar, so it only reports.",
    )


def build_calibration(folders: ExamDataFolders) -> Exam:
    """The exam. Raises NotFound without the data set in the user's folder."""
    return Exam(
        name="calibration",
        title="Stated confidence on Natural Questions",
        cases=_nq_cases(folders, "calibration", CONFIDENCE_INSTRUCTION)[:1000],
        grader=ConfidenceGrader(),
        sampling={"temperature": 0.0, "max_tokens": 64},
        source="https://github.com/google-research-datasets/natural-questions",
        licence="Apache-2.0",
        description="Is stated confidence informative? ECE, Brier score and AUROC over the answers that state one.",
    )


def build_cmrc2018(folders: ExamDataFolders) -> Exam:
    """The exam. Raises NotFound without the data set in the user's folder."""
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
            key=f"dev {index}",
            messages=({"role": "user", "content": f"{row['question'].capitalize()}?{instruction}"},),
            data={"references": row["answer"]},
        )
        for index, row in enumerate(rows)
    )


def _normalise_characters(text: str) -> str:
    return "".join(_CHINESE.findall(text.lower()))


def _longest_match_f1(answer: str, reference: str) -> float:
    """F1 of the longest run of characters that both share, as in the benchmark's evaluation script."""
    if not answer or not reference:
        return 0.0
    shared = SequenceMatcher(None, answer, reference, autojunk=False).find_longest_match().size
    return 2 * shared / (len(answer) + len(reference))
