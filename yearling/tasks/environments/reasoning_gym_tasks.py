"""Arithmetic and reasoning from reasoning-gym (https://github.com/open-thought/reasoning-gym): any of its generators by name.

Three ways in which this is not its own grading. Reward is 1.0 only for a full score: it gives 0.01 to 0.07 for garbage, which is
then what is learnt. A generator whose grader evaluates the answer as a program (`eval`, sympy's `parse_expr`) never gets to see
one: where only one answer is right it is compared as text, elsewhere the generator is refused. Items are drawn one by one by our
seeds (`seeds.py`), since its item i is made from `Random(seed + i)` and neighbouring seeds share all but one of their items.

An answer is read like this: what stands between the last `<answer>` and `</answer>` where there is such a pair; otherwise the
text, only its first line where the right answer has one line, less a leading `Answer:` or `A:` and a full stop at the end (unless
the right answer ends with one). What is left goes to the library's grader whole, and most want nothing but the answer in it.
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

from yearling.errors import BadInput, NotFound, Unavailable, Unsupported
from yearling.tasks.environments.protocol import Task, Transcript, final_answer_text, task_key
from yearling.tasks.environments.seeds import draw_for_part, part_owning_question, shot_seed

_log = logging.getLogger(__name__)

TEXT_COMPARED_DATASETS = frozenset({"binary_matrix", "number_sorting", "spiral_matrix", "string_insertion"})
"""Their graders evaluate the answer, but only one is right: it is compared as text."""
UNSAFE_DATASETS = frozenset(
    {"countdown", "intermediate_integration", "n_queens", "polynomial_multiplication", "puzzle24", "simple_integration"}
)
"""Their graders evaluate the answer, and many are right."""
_PREGENERATED_DATASETS = frozenset({"acre", "composite", "gsm_symbolic", "list_functions", "word_ladder"})
"""They make all their items at construction, so that each of ours needs a generator of its own."""

_SEED_32BIT_DATASETS = frozenset({"pool_matrix"})
"""They take no seed above 32 bits. Two of ours may then meet in one, but a question still belongs to one part."""

_REQUEST = "Give only the final answer."
_MAX_ANSWER_CHARS = 4000
_ANSWER_TAGS = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)
_ANSWER_LABEL = re.compile(r"(?:answer|a)\s*:\s*", re.IGNORECASE)
_MAX_SHOT_DRAWS = 50


@dataclass(frozen=True)
class ReasoningGym:
    """`settings` go to the generator (`{"min_digits": 1}`); `shots` solved items come first as turns, always the same ones.

    Raises Unavailable without the package, NotFound for a generator that it does not have, BadInput for settings that it refuses,
    Unsupported where an answer could only be graded by executing it."""

    dataset: str
    settings: dict[str, Any] = field(default_factory=dict)
    shots: int = 2

    summary: ClassVar[str] = "Any generator of reasoning-gym: sums, letter counting, syllogisms and a hundred more."

    def __post_init__(self) -> None:
        if not 0 <= self.shots <= 20:
            raise BadInput("shots must lie between 0 and 20.", param="shots")
        _load_item(self.dataset, _settings_json(self.settings), 0)

    @property
    def name(self) -> str:
        return f"reasoning_gym:{self.dataset}"

    def task(self, seed: int) -> Task:
        settings = _settings_json(self.settings)
        shots = _solved_examples(self.dataset, settings, self.shots)
        shown = {str(shot["question"]) for shot in shots}
        number = draw_for_part(
            seed,
            lambda number: number,
            lambda number: str(_load_item(self.dataset, settings, number)["question"]),
            excluded=shown,
        )
        item = _load_item(self.dataset, settings, number)
        messages: list[dict[str, Any]] = []
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
        right = str(task.data["answer"])
        answer = parse_answer(
            final_answer_text(transcript), is_multiline="\n" in right.strip(), keep_full_stop=right.endswith(".")
        )
        dataset = str(task.data["dataset"])
        if not answer or len(answer) > _MAX_ANSWER_CHARS:
            return 0.0
        if answer == right or dataset in TEXT_COMPARED_DATASETS:
            return float(answer == right)
        settings = _settings_json(task.data["settings"])
        return float(_library_score(dataset, settings, int(task.data["item"]), answer) == 1.0)


def parse_answer(text: str, *, is_multiline: bool = False, keep_full_stop: bool = False) -> str:
    """The answer that a text gives, by the rule at the top of this file."""
    tagged = _ANSWER_TAGS.findall(text)
    if tagged:
        return str(tagged[-1]).strip()
    text = text.strip()
    if not is_multiline:
        text = text.partition("\n")[0]
    lead = _ANSWER_LABEL.match(text)
    text = text[lead.end() :] if lead else text
    return text.strip() if keep_full_stop else text.strip().removesuffix(".").rstrip()


def _settings_json(settings: Mapping[str, Any]) -> str:
    try:
        return json.dumps(dict(settings), sort_keys=True)
    except TypeError:
        raise BadInput("Settings of a reasoning-gym generator must be JSON values.", param="settings") from None


@lru_cache(maxsize=64)
def _generator(dataset: str, settings: str) -> Any:
    return _new_generator(dataset, settings, seed=0)


def _new_generator(dataset: str, settings: str, *, seed: int) -> Any:
    """The library's generator. Its seed matters only for those that make all their items at construction."""
    if dataset in UNSAFE_DATASETS:
        raise Unsupported(
            f"reasoning-gym grades {dataset} by evaluating the answer as a program, and a model's answer must not be executed.",
            advice="Choose another generator.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of its dependencies, at their first compilation
            from reasoning_gym.factory import DATASETS, create_dataset
    except ImportError:
        raise Unavailable("This needs reasoning-gym, which is not installed.", advice="Install yearling[reasoning].") from None
    if dataset not in DATASETS:
        raise NotFound(f"reasoning-gym has no generator named {dataset}.", advice=f"It has: {', '.join(sorted(DATASETS))}.")
    chosen = json.loads(settings)
    if {"seed", "size"} & set(chosen):
        raise BadInput("seed and size are not settings here: every item has a seed of its own.", param="settings")
    try:
        return create_dataset(dataset, seed=seed, size=1, **chosen)
    except (TypeError, ValueError, AssertionError) as error:
        raise BadInput(f"reasoning-gym refuses these settings of {dataset}: {error}.", param="settings") from None


@lru_cache(maxsize=4096)
def _load_item(dataset: str, settings: str, number: int) -> dict[str, Any]:
    if dataset in _PREGENERATED_DATASETS:
        found: dict[str, Any] = _new_generator(dataset, settings, seed=number)[0]
    else:
        seed = random.Random(number).getrandbits(31) if dataset in _SEED_32BIT_DATASETS else number
        found = _generator(dataset, settings)[seed]
    return found


@lru_cache(maxsize=64)
def _solved_examples(dataset: str, settings: str, count: int) -> tuple[dict[str, Any], ...]:
    """Different questions of the training part, from seeds that no task has, with different answers where that is easily had."""
    found: list[dict[str, Any]] = []
    spare: list[dict[str, Any]] = []
    for index in range(_MAX_SHOT_DRAWS * count):
        item = _load_item(dataset, settings, shot_seed(index))
        seen = {shot["question"] for shot in [*found, *spare]}
        if part_owning_question(str(item["question"])) == "train" and item["question"] not in seen:
            known = item["answer"] in {shot["answer"] for shot in found}
            (spare if known else found).append(item)
        if len(found) == count:
            break
    shots = [*found, *spare][:count]
    if len(shots) < count:
        raise BadInput("These settings leave too few different questions for the examples.", advice="Ask for fewer shots.")
    return tuple(shots)


def _library_score(dataset: str, settings: str, number: int, answer: str) -> float:
    try:
        return float(_generator(dataset, settings).score_answer(answer, _load_item(dataset, settings, number)))
    except Exception as error:
        # A grader that we did not write choked on a model's words: an unsolved task, and a line for who looks after graders.
        _log.warning("The grader of %s failed on an answer: %s: %s", dataset, type(error).__name__, error)
        return 0.0
