"""The lessons of a cycle: those that people's judgements give, or practice whose answers a program checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yearling.errors import BadInput
from yearling.loop.cycle.tools import PracticeDraft
from yearling.store import Store

if TYPE_CHECKING:
    from yearling.tasks import Demonstration, ExamFingerprint

METHOD_OF_KIND: Mapping[str, str] = {"pair": "dpo", "demonstration": "sft", "thumb": "kto"}
"""The method that learns from each kind of lesson."""

_HELD_TO_BASE: Mapping[str, Any] = {"kl_mode": "anchor", "kl_weight": 2.0, "kl_limit": 0.3}
"""Each step holds the model to its base on generic prompts, and the limit keeps a cycle inside the rule of the gate."""

DEFAULT_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "dpo": {"passes": 2.0, "learning_rate": 1e-4, **_HELD_TO_BASE},
    "kto": {"passes": 2.0, "learning_rate": 1e-4, **_HELD_TO_BASE},
    "sft": {"passes": 4.0, "learning_rate": 2e-4, **_HELD_TO_BASE, "learnt_mean": 0.85, "learnt_worst": 0.55},
}
"""Settings of a method unless the options name others. Demonstrations are learnt until their words are likely, at most for these
passes. Every cycle learns all lessons of judgements anew from the base, so that earlier ones count as much as new ones, and what
was retracted is gone."""

PRACTICE_SETTINGS: Mapping[str, Any] = {
    "passes": 1.0,
    "learning_rate": 1.2e-3,
    "lessons_per_step": 8,
    "validation": 0.02,
    "kl_mode": "anchor",
    "kl_weight": 2.0,
}
_PLAIN_SHARE = 0.1
"""Share of practice without any constraint: the champion's own words, which keep it where it is."""
_MAX_TASKS_PER_LESSON = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleLessons:
    """What a cycle learns: a frozen set, and the method with its settings."""

    lesson_set: str
    version: int | None
    method: str
    settings: Mapping[str, Any]
    num_lessons: int
    unused: Mapping[str, int]
    """Number of lessons of the kinds that the method does not use."""
    num_judgements: int
    num_people: int


def choose_method(counts: Mapping[str, int], wanted: str) -> tuple[str, int, dict[str, int]]:
    """The method, its number of lessons, and the numbers of the others. Raises BadInput if there is nothing for it."""
    by_method = {METHOD_OF_KIND[kind]: count for kind, count in counts.items() if kind in METHOD_OF_KIND and count}
    method = max(by_method, key=lambda name: (by_method[name], name), default="") if wanted == "auto" else wanted
    if not by_method.get(method):
        what = f"for the method {wanted}" if wanted != "auto" else "yet"
        raise BadInput(f"There is nothing to learn from {what}.", advice="Rate, compare or edit answers first.")
    unused = {kind: count for kind, count in counts.items() if METHOD_OF_KIND.get(kind) != method and count}
    return method, by_method[method], unused


def build_judged_lessons(
    store: Store, exams: Sequence[ExamFingerprint], *, method: str, settings: Mapping[str, Any]
) -> CycleLessons:
    """The lessons of all judgements so far. The same records give the same set. Raises what building a set raises."""
    from yearling.tasks import build_lesson_set

    built = build_lesson_set(store, exams=exams)
    manifest, report = built.lesson_set.manifest, built.report
    chosen, num_lessons, unused = choose_method(manifest["counts"]["train"], method)
    return CycleLessons(
        lesson_set=built.lesson_set.hash,
        version=built.lesson_set.version,
        method=chosen,
        settings={**DEFAULT_SETTINGS[chosen], **settings},
        num_lessons=num_lessons,
        unused=unused,
        num_judgements=int(report["judgements"]["kept"]),
        num_people=int(report["judgements"]["voices"]),
    )


def practice_requests(num_tasks: int, seed: int) -> list[str]:
    """The requests of the practice tasks, each once, in the order of the tasks."""
    return list(dict.fromkeys(task.data["request"] for task in _practice_tasks(num_tasks, seed)))


def build_practice(drafts: Mapping[str, PracticeDraft], *, num_tasks: int, seed: int) -> list[Demonstration]:
    """Demonstrations of practice tasks, made of drafts. The same drafts give the same demonstrations, in the same order.

    Drafts are the model's likeliest words, so that what a demonstration teaches is nothing but how the constraint is met.
    """
    from yearling.tasks import Demonstration, lesson_key, plain_prose, repair_answer

    made: dict[str, Demonstration] = {}

    def add(messages: tuple[dict[str, Any], ...], answer: str) -> None:
        key = lesson_key("demonstration", messages, answer)
        made.setdefault(key, Demonstration(key, messages, answer, source="practice"))

    for task in _practice_tasks(num_tasks, seed):
        draft = drafts.get(task.data["request"])
        if draft is not None and (answer := repair_answer(task, draft.text)):
            add((*draft.before, *task.messages), answer)
    for request in list(drafts)[: round(_PLAIN_SHARE * len(made))]:
        if answer := plain_prose(drafts[request].text):
            add((*drafts[request].before, {"role": "user", "content": request}), answer)
    return list(made.values())


def _practice_tasks(num_tasks: int, seed: int) -> list[Any]:
    """Training tasks of one and two constraints, of all levels. Held-out kinds and requests are never among them."""
    from yearling.tasks import open_environment, train_seed

    single, double = open_environment("instructions", level=0), open_environment("instructions", level=0, fewest=2, most=2)
    first = seed * _MAX_TASKS_PER_LESSON * 20_000
    return [(double if number % 5 == 0 else single).task(train_seed(first + number)) for number in range(num_tasks)]
