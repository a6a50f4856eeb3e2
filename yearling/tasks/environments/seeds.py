"""Assigns seeds and questions to training or to exams, so that no exam contains a question that is trained on.

Two rules keep the parts apart. Seeds: each part has its own range, and the ranges are far more than 10**6 apart, because
generators that draw item i from `Random(seed + i)`, as reasoning-gym does, repeat items at neighbouring seeds. Questions: small
tasks have few questions, so two seeds may draw the same one. The hash of a question therefore assigns it to one part, and
`draw_for_part` draws again until it finds a question of its part. No list of questions is needed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Literal, TypeVar

from yearling.errors import BadInput

SeedPart = Literal["train", "exam"]
T = TypeVar("T")

SEEDS_PER_PART = 10**12
"""Number of seeds of each part."""
_FIRST_SEED = {"train": 0, "exam": 2 * SEEDS_PER_PART}
_FIRST_SHOT_SEED = 4 * SEEDS_PER_PART
_REDRAW_STRIDE = 10**15
"""Distance between the attempts for one seed, larger than every range."""
_MAX_DRAWS = 400
EXAM_ONE_IN = 5
"""One question in this many belongs to exams."""


def train_seed(index: int) -> int:
    """Return the seed of training task `index`, counted from 0. Raises BadInput if the index is out of range."""
    return _seed("train", index)


def exam_seed(index: int) -> int:
    """Return the seed of exam task `index`, counted from 0. Raises BadInput if the index is out of range."""
    return _seed("exam", index)


def shot_seed(index: int) -> int:
    """Return the seed of the solved example `index` in prompts, counted from 0. Raises BadInput if the index is out of range."""
    return _FIRST_SHOT_SEED + _check_index(index)


def part_of_seed(seed: int) -> SeedPart:
    """Return the part to which a seed belongs. Raises BadInput for a seed of neither part."""
    for part, first in _FIRST_SEED.items():
        if first <= seed < first + SEEDS_PER_PART:
            return "train" if part == "train" else "exam"
    raise BadInput(f"The seed {seed} belongs to neither training nor exams.", advice="Use train_seed(i) or exam_seed(i).")


def part_owning_question(question: str) -> SeedPart:
    """Return the only part that may use this question, by its hash."""
    digest = hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()
    return "exam" if int.from_bytes(digest[:8], "big") % EXAM_ONE_IN == 0 else "train"


def draw_for_part(
    seed: int, make_candidate: Callable[[int], T], question_text: Callable[[T], str], *, excluded: Collection[str] = ()
) -> T:
    """Return the first candidate whose question belongs to the seed's part and is not excluded.

    The candidates are `make_candidate(seed)`, `make_candidate(seed + ...)` and so on. `question_text` returns the text of a
    candidate's question. `excluded` holds questions whose answers the prompt shows. Raises BadInput if hundreds of attempts fail,
    because the settings then allow too few questions for two parts.
    """
    part = part_of_seed(seed)
    for attempt in range(_MAX_DRAWS):
        candidate = make_candidate(seed + attempt * _REDRAW_STRIDE)
        text = question_text(candidate)
        if part_owning_question(text) == part and text not in excluded:
            return candidate
    raise BadInput("These settings allow too few different questions to keep some for exams.", advice="Choose wider settings.")


def _seed(part: SeedPart, index: int) -> int:
    return _FIRST_SEED[part] + _check_index(index)


def _check_index(index: int) -> int:
    if not 0 <= index < SEEDS_PER_PART:
        raise BadInput(f"The index of a seed must be from 0 to {SEEDS_PER_PART - 1:,}, but is {index}.")
    return index
