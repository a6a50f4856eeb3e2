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
from yearling.tasks.lesson import Demonstration, Lesson, Messages, Pair, Prompt, Thumb, events_of, lesson_key
from yearling.tasks.lesson_set import LessonSet, freeze

__all__ = [
    "Demonstration",
    "Environment",
    "EnvironmentInfo",
    "Lesson",
    "LessonSet",
    "Messages",
    "Pair",
    "Prompt",
    "Task",
    "Thumb",
    "Transcript",
    "TurnEnvironment",
    "answer_of",
    "describe",
    "environment_names",
    "events_of",
    "exam_seed",
    "freeze",
    "lesson_key",
    "open_environment",
    "takes_turns",
    "train_seed",
]
