"""Our own exercises, held out: environments of `tasks` with seeds that no training draws. The environment is the grader."""

from __future__ import annotations

from functools import cached_property

from yearling.evals.case import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.sources import ExamDataFolders
from yearling.tasks import Environment, Task, exam_seed, is_multi_turn, open_environment

NUM_CASES = 541
"""As many as IFEval has, so that the same differences show."""


class EnvironmentGrader:
    """Right is what the environment rewards."""

    version = "1"

    def __init__(self, environment: str) -> None:
        self._environment_name = environment
        self.name = f"environment:{environment}"
        self.card = GraderCard(grader=self.name, kind="exact", note="The exercise's own program.")

    @cached_property
    def _loaded_environment(self) -> Environment:
        return open_environment(self._environment_name)

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        task = Task(key=case.key, messages=case.messages, environment=case.data["environment"], data=case.data["task"])
        solved = self._loaded_environment.reward(task, [{"role": "assistant", "content": response.text}]) == 1.0
        return Verdict(score=float(solved), label="solved" if solved else "unsolved")


def build_constraints(folders: ExamDataFolders) -> Exam:
    """Instructions with constraints that a program checks, drawn with exam seeds."""
    name = "instructions"
    opened = open_environment(name)
    if is_multi_turn(opened):
        raise RuntimeError("an exercise in turns cannot be put as one question")
    tasks: dict[str, Task] = {}
    index = 0
    while len(tasks) < NUM_CASES:
        task = opened.task(exam_seed(index))
        tasks.setdefault(task.key, task)
        index += 1
    cases = tuple(
        Case(key=task.key, messages=task.messages, data={"environment": task.environment, "task": task.data})
        for task in tasks.values()
    )
    return Exam(
        name="constraints",
        title="Our own instructions with constraints, held out",
        cases=cases,
        grader=EnvironmentGrader(name),
        sampling={"temperature": 0.0, "max_tokens": 256},
        source="made by the program",
        licence="Apache-2.0",
        description="The environment `instructions` with exam seeds, which training never draws.",
    )
