"""Lessons made from judgements, and environments with graded tasks: the material for training and exams."""

from yearling.tasks.candidates import LessonRules
from yearling.tasks.environments import (
    Environment,
    EnvironmentInfo,
    Task,
    Transcript,
    TurnEnvironment,
    describe_environments,
    environment_names,
    exam_seed,
    final_answer_text,
    is_multi_turn,
    open_environment,
    train_seed,
)
from yearling.tasks.environments.instructions.environment import constraint_kinds
from yearling.tasks.environments.instructions.repairs import plain_prose, repair_answer
from yearling.tasks.item_answers import last_user_message_text
from yearling.tasks.lesson import Demonstration, Lesson, LessonMessages, PreferencePair, Prompt, Thumb, judgement_ids, lesson_key
from yearling.tasks.lesson_set import LessonSet, freeze_lesson_set
from yearling.tasks.ngrams import ExamFingerprint, find_leaked_exam, fingerprint_exam
from yearling.tasks.set_building import BuildConfig, LessonSetBuild, build_lesson_set, lessons_dir, open_lesson_set
from yearling.tasks.set_diff import ChangedLesson, LessonSetDiff, diff_lesson_sets, label_and_weight, lesson_as_dict

__all__ = [
    "BuildConfig",
    "ChangedLesson",
    "Demonstration",
    "Environment",
    "EnvironmentInfo",
    "ExamFingerprint",
    "Lesson",
    "LessonMessages",
    "LessonRules",
    "LessonSet",
    "LessonSetBuild",
    "LessonSetDiff",
    "PreferencePair",
    "Prompt",
    "Task",
    "Thumb",
    "Transcript",
    "TurnEnvironment",
    "build_lesson_set",
    "constraint_kinds",
    "describe_environments",
    "diff_lesson_sets",
    "environment_names",
    "exam_seed",
    "final_answer_text",
    "find_leaked_exam",
    "fingerprint_exam",
    "freeze_lesson_set",
    "is_multi_turn",
    "judgement_ids",
    "label_and_weight",
    "last_user_message_text",
    "lesson_as_dict",
    "lesson_key",
    "lessons_dir",
    "open_environment",
    "open_lesson_set",
    "plain_prose",
    "repair_answer",
    "train_seed",
]
