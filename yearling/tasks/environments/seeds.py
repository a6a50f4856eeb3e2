"""Which seed belongs to whom, so that what is trained on is never examined.

Two walls stand between training and exams. Seeds: each part has a range of its own, and the ranges lie far more than 10**6 apart,
since generators that draw item i from `Random(seed + i)` (reasoning-gym does) repeat each other's items at neighbouring seeds.
Questions: small tasks have few questions, and two seeds may draw the same one; each question is therefore owned by one part, by
its hash, and `draw` goes on until it finds one of its own. Nobody has to enumerate anything, and no list has to be kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Literal, TypeVar

from yearling.errors import BadInput

SeedPart = Literal["train", "exam"]
T = TypeVar("T")

SEEDS_PER_PART = 10**12
"""How many seeds a part has."""
_FIRST_SEED = {"train": 0, "exam": 2 * SEEDS_PER_PART}
_FIRST_SHOT_SEED = 4 * SEEDS_PER_PART
_REDRAW_STRIDE = 10**15
"""Distance between the attempts of one seed, beyond every range."""
_MAX_DRAWS = 400
EXAM_ONE_IN = 5
"""One question in this many is kept for exams."""


def train_seed(index: int) -> int:
    """The seed of training task `index`, from 0 up."""
    return _seed("train", index)


def exam_seed(index: int) -> int:
    """The seed of exam task `index`, from 0 up: never a training task's."""
    return _seed("exam", index)


def shot_seed(index: int) -> int:
    """The seed of example `index` that is shown in prompts, from 0 up."""
    if not 0 <= index < SEEDS_PER_PART:
        raise BadInput(f"A seed's index lies between 0 and {SEEDS_PER_PART:,}; {index} does not.")
    return _FIRST_SHOT_SEED + index


def part_of_seed(seed: int) -> SeedPart:
    """Whose seed this is. Raises BadInput for a seed of neither part."""
    for part, first in _FIRST_SEED.items():
        if first <= seed < first + SEEDS_PER_PART:
            return "train" if part == "train" else "exam"
    raise BadInput(f"{seed} is a seed of neither training nor exams.", advice="Use train_seed(i) or exam_seed(i).")


def part_owning_question(question: str) -> SeedPart:
    """The only part that may use this question, decided by its hash."""
    digest = hashlib.sha256(question.encode("utf-8", "surrogatepass")).digest()
    return "exam" if int.from_bytes(digest[:8], "big") % EXAM_ONE_IN == 0 else "train"


def draw_for_part(seed: int, make: Callable[[int], T], question: Callable[[T], str], *, excluded: Collection[str] = ()) -> T:
    """The first of `make(seed)`, `make(seed + ...)`, ... whose question belongs to the seed's part and is not excluded (because a
    prompt shows its answer).

    Raises BadInput when hundreds in a row belong to the other part: the settings leave too few questions for two parts."""
    part = part_of_seed(seed)
    for attempt in range(_MAX_DRAWS):
        made = make(seed + attempt * _REDRAW_STRIDE)
        words = question(made)
        if part_owning_question(words) == part and words not in excluded:
            return made
    raise BadInput("These settings leave too few different questions to keep some for exams.", advice="Choose wider settings.")


def _seed(part: SeedPart, index: int) -> int:
    if not 0 <= index < SEEDS_PER_PART:
        raise BadInput(f"A seed's index lies between 0 and {SEEDS_PER_PART:,}; {index} does not.")
    return _FIRST_SEED[part] + index
