"""What is learnt from and examined on: lessons made of records, and exercises with graders."""

from yearling.tasks.environments import (
    Environment,
    EnvironmentInfo,
    Task,
    Transcript,
    TurnEnvironment,
    answer_of,
    describe,
    environment_names,
    exam_seed,
    open_environment,
    takes_turns,
    train_seed,
)

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
    "takes_turns",
    "train_seed",
]
