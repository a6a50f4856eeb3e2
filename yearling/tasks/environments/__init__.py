"""Environments: tasks drawn by seed and graded from the transcript only, with training and exams kept apart."""

from yearling.tasks.environments.protocol import (
    Environment,
    Task,
    Transcript,
    TurnEnvironment,
    final_answer_text,
    is_multi_turn,
    task_key,
)
from yearling.tasks.environments.registry import EnvironmentInfo, describe_environments, environment_names, open_environment
from yearling.tasks.environments.seeds import exam_seed, part_of_seed, part_owning_question, train_seed

__all__ = [
    "Environment",
    "EnvironmentInfo",
    "Task",
    "Transcript",
    "TurnEnvironment",
    "describe_environments",
    "environment_names",
    "exam_seed",
    "final_answer_text",
    "is_multi_turn",
    "open_environment",
    "part_of_seed",
    "part_owning_question",
    "task_key",
    "train_seed",
]
