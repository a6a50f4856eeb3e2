"""Arithmetic and reasoning from reasoning-gym (https://github.com/open-thought/reasoning-gym): any of its generators by name.

This departs from the library's own grading in three ways. The reward is 1.0 only for a full score, because the library gives 0.01
to 0.07 for garbage, which a model would then learn. Answers never reach a grader that evaluates them as a program (`eval`,
sympy's `parse_expr`): if only one answer is right it is compared as text, otherwise the generator is rejected. Each item is drawn
by its own seed (`seeds.py`), because the library makes item i from `Random(seed + i)`, so that neighbouring seeds share all but
one item.

The answer is the text between the last `<answer>` and `</answer>`, if there is such a pair. Otherwise it is the text, or its
first line if the right answer has one line, without a leading `Answer:` or `A:` and without a final full stop (unless the right
answer ends with one). The library grades exactly this text, and most graders accept nothing but the answer in it.
"""

from __future__ import annotations

import json
import logging
import random
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar

from yearling.errors import BadInput, NotFound, Unavailable, Unsupported, install_advice
from yearling.tasks.environments.protocol import Task, TaskMessage, Transcript, final_answer_text, task_key
from yearling.tasks.environments.seeds import draw_for_part, part_owning_question, shot_seed

_log = logging.getLogger(__name__)

TEXT_COMPARED_DATASETS = frozenset({"binary_matrix", "number_sorting", "spiral_matrix", "string_insertion"})
"""Their graders evaluate the answer as a program. Only one answer is right, so it is compared as text."""

UNSAFE_DATASETS = frozenset(
    {"countdown", "intermediate_integration", "n_queens", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
"""Their graders evaluate the answer as a program, and many answers are right, so they are rejected."""

_PREGENERATED_DATASETS = frozenset({"acre", "composite", "gsm_symbolic", "list_functions", "word_ladder"})
"""They make all items at construction, so each of our items needs its own generator."""

_SEED_32BIT_DATASETS = frozenset({"pool_matrix"})
"""They accept no seed above 32 bits. Two of our seeds may give the same item, but its question still belongs to one part."""

Item = dict[str, object]
"""An item of the library: `question`, `answer` and `metadata`."""

_REQUEST = "Give only the final answer."
_MAX_ANSWER_CHARS = 4000
_ANSWER_TAGS = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ANSWER_LABEL = re.compile(r"(?:answer|a)\s*:\s*", re.IGNORECASE)
_MAX_SHOT_DRAWS = 50


@dataclass(frozen=True)
class ReasoningGym:
    """`settings` configure the generator, for example `{"min_digits": 1}`.

    The prompt starts with `shots` solved items, always the same ones. Raises Unavailable if the package is not installed,
    NotFound for an unknown generator, BadInput for settings that the generator rejects, and Unsupported if grading an answer
    would execute it.
    """

    dataset: str
    settings: dict[str, object] = field(default_factory=dict)
    shots: int = 2

    summary: ClassVar[str] = "Any generator of reasoning-gym: sums, letter counting, syllogisms and a hundred more."

    def __post_init__(self) -> None:
        if not 0 <= self.shots <= 20:
            raise BadInput("shots must be from 0 to 20.", param="shots")
        _load_item(self.dataset, _settings_json(self.settings), 0)

    @property
    def name(self) -> str:
        return f"reasoning_gym:{self.dataset}"

    def task(self, seed: int) -> Task:
        """Return the task of this seed. Raises BadInput for other seeds."""
        settings = _settings_json(self.settings)
        shots = _solved_examples(self.dataset, settings, self.shots)
        shown_questions = {str(shot["question"]) for shot in shots}
        number = draw_for_part(
            seed,
            lambda number: number,
            lambda number: str(_load_item(self.dataset, settings, number)["question"]),
            excluded=shown_questions,
        )
        item = _load_item(self.dataset, settings, number)
        messages: list[TaskMessage] = []
        for shot in shots:
            messages += [{"role": "user", "content": shot["question"]}, {"role": "assistant", "content": shot["answer"]}]
        messages.append({"role": "user", "content": item["question"]})
        messages[0] = {"role": "user", "content": f"{_REQUEST}\n{messages[0]['content']}"}
        return Task(
            key=task_key(self.name, item["question"]),
            messages=tuple(messages),
            environment=self.name,
            data={"dataset": self.dataset, "settings": dict(self.settings), "item": number, "answer": item["answer"]},
        )

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 if the answer has a full score, otherwise 0.0."""
        right_answer = str(task.data["answer"])
        answer = parse_answer(
            final_answer_text(transcript), is_multiline="\n" in right_answer.strip(), keep_full_stop=right_answer.endswith(".")
        )
        dataset = str(task.data["dataset"])
        if not answer or len(answer) > _MAX_ANSWER_CHARS:
            return 0.0
        if answer == right_answer or dataset in TEXT_COMPARED_DATASETS:
            return float(answer == right_answer)
        settings = _settings_json(task.data["settings"])
        return float(_library_score(dataset, settings, int(task.data["item"]), answer) == 1.0)


def parse_answer(text: str, *, is_multiline: bool = False, keep_full_stop: bool = False) -> str:
    """Return the answer in a text, by the rule in the docstring of this file."""
    tagged = _ANSWER_TAGS.findall(text)
    if tagged:
        return str(tagged[-1]).strip()
    text = text.strip()
    if not is_multiline:
        text = text.partition("\n")[0]
    lead = _ANSWER_LABEL.match(text)
    text = text[lead.end() :] if lead else text
    return text.strip() if keep_full_stop else text.strip().removesuffix(".").rstrip()


def _settings_json(settings: Mapping[str, object]) -> str:
    try:
        return json.dumps(dict(settings), sort_keys=True)
    except TypeError:
        raise BadInput("Settings of a reasoning-gym generator must be JSON values.", param="settings") from None


@lru_cache(maxsize=64)
def _generator(dataset: str, settings: str) -> Any:
    return _new_generator(dataset, settings, seed=0)


def _new_generator(dataset: str, settings: str, *, seed: int) -> Any:
    """Return a generator of the library. The seed matters only for `_PREGENERATED_DATASETS`."""
    if dataset in UNSAFE_DATASETS:
        raise Unsupported(
            f"reasoning-gym grades {dataset} by evaluating the answer as a program, but answers of a model must not be executed.",
            advice="Choose another generator.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # from its dependencies, at their first compilation
            from reasoning_gym.factory import DATASETS, create_dataset
    except ImportError:
        raise Unavailable("This needs reasoning-gym, which is not installed.", advice=install_advice("reasoning")) from None
    if dataset not in DATASETS:
        raise NotFound(f"reasoning-gym has no generator named {dataset}.", advice=f"Generators: {', '.join(sorted(DATASETS))}.")
    values = json.loads(settings)
    if {"seed", "size"} & set(values):
        raise BadInput("seed and size cannot be set: every item has its own seed.", param="settings")
    try:
        return create_dataset(dataset, seed=seed, size=1, **values)
    except (TypeError, ValueError, AssertionError) as error:
        raise BadInput(f"reasoning-gym rejects these settings of {dataset}: {error}.", param="settings") from None


@lru_cache(maxsize=4096)
def _load_item(dataset: str, settings: str, number: int) -> Item:
    if dataset in _PREGENERATED_DATASETS:
        item: Item = _new_generator(dataset, settings, seed=number)[0]
    else:
        seed = random.Random(number).getrandbits(31) if dataset in _SEED_32BIT_DATASETS else number
        item = _generator(dataset, settings)[seed]
    return item


@lru_cache(maxsize=64)
def _solved_examples(dataset: str, settings: str, count: int) -> tuple[Item, ...]:
    """Return different questions of the training part from seeds that no task has, preferably with different answers."""
    shots: list[Item] = []
    spare: list[Item] = []
    for index in range(_MAX_SHOT_DRAWS * count):
        item = _load_item(dataset, settings, shot_seed(index))
        seen_questions = {shot["question"] for shot in [*shots, *spare]}
        if part_owning_question(str(item["question"])) == "train" and item["question"] not in seen_questions:
            has_known_answer = item["answer"] in {shot["answer"] for shot in shots}
            (spare if has_known_answer else shots).append(item)
        if len(shots) == count:
            break
    shots = [*shots, *spare][:count]
    if len(shots) < count:
        raise BadInput("These settings allow too few different questions for the examples.", advice="Use fewer shots.")
    return tuple(shots)


def _library_score(dataset: str, settings: str, number: int, answer: str) -> float:
    try:
        return float(_generator(dataset, settings).score_answer(answer, _load_item(dataset, settings, number)))
    except Exception as error:
        # A third-party grader failed on the output of a model: the task is unsolved, and the log names the grader.
        _log.warning("The grader of %s failed on an answer: %s: %s", dataset, type(error).__name__, error)
        return 0.0
