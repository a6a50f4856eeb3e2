"""Exercises with graders: drawn by seed, graded from the transcript alone, training and exams kept apart."""

from yearling.tasks.environments.protocol import Environment, Task, Transcript, TurnEnvironment, answer_of, takes_turns, task_key
from yearling.tasks.environments.registry import EnvironmentInfo, describe, environment_names, open_environment
from yearling.tasks.environments.seeds import exam_seed, owner_of, part_of, train_seed

__all__ = [
    "Environment",
    "EnvironmentInfo",
    "Task",
    "Transcript",
    "TurnEnvironment",
    "answer_of",
    "describe",
    "environment_names",
    "exam_seed",
    "open_environment",
    "owner_of",
    "part_of",
    "takes_turns",
    "task_key",
    "train_seed",
]
