"""What is learnt from and examined on: lessons made of records, and exercises with graders."""

from yearling.tasks.candidates import Rules
from yearling.tasks.environments import (
    Environment,
    EnvironmentInfo,
    Task,
    Transcript,
    TurnEnvironment,
    describe,
    environment_names,
    exam_seed,
    final_answer_text,
    is_multi_turn,
    open_environment,
    train_seed,
)
from yearling.tasks.lesson import Demonstration, Lesson, Messages, Pair, Prompt, Thumb, events_of, lesson_key
from yearling.tasks.lesson_set import LessonSet, freeze
from yearling.tasks.ngrams import ExamFingerprint, fingerprint, leak
from yearling.tasks.set_building import BuildConfig, LessonSetBuild, build, lessons_dir, open_lesson_set
from yearling.tasks.set_diff import ChangedLesson, LessonSetDiff, compare, judged, lesson_as_dict

__all__ = [
    "BuildConfig",
    "ChangedLesson",
    "Demonstration",
    "Environment",
    "EnvironmentInfo",
    "ExamFingerprint",
    "Lesson",
    "LessonSet",
    "LessonSetBuild",
    "LessonSetDiff",
    "Messages",
    "Pair",
    "Prompt",
    "Rules",
    "Task",
    "Thumb",
    "Transcript",
    "TurnEnvironment",
    "build",
    "compare",
    "describe",
    "environment_names",
    "events_of",
    "exam_seed",
    "final_answer_text",
    "fingerprint",
    "freeze",
    "is_multi_turn",
    "judged",
    "leak",
    "lesson_as_dict",
    "lesson_key",
    "lessons_dir",
    "open_environment",
    "open_lesson_set",
    "train_seed",
]
