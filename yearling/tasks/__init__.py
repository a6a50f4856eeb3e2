"""What is learnt from and examined on: lessons made of records, and exercises with graders."""

from yearling.tasks.candidates import Rules
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
from yearling.tasks.ngrams import Fingerprint, fingerprint, leak
from yearling.tasks.set_building import BuildConfig, Built, build, lessons_dir, open_lessons
from yearling.tasks.set_diff import Changed, Difference, compare, judged, lesson_facts

__all__ = [
    "BuildConfig",
    "Built",
    "Changed",
    "Demonstration",
    "Difference",
    "Environment",
    "EnvironmentInfo",
    "Fingerprint",
    "Lesson",
    "LessonSet",
    "Messages",
    "Pair",
    "Prompt",
    "Rules",
    "Task",
    "Thumb",
    "Transcript",
    "TurnEnvironment",
    "answer_of",
    "build",
    "compare",
    "describe",
    "environment_names",
    "events_of",
    "exam_seed",
    "fingerprint",
    "freeze",
    "judged",
    "leak",
    "lesson_facts",
    "lesson_key",
    "lessons_dir",
    "open_environment",
    "open_lessons",
    "takes_turns",
    "train_seed",
]
