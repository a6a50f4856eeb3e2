"""Corrections with paraphrases and neighbours, and control questions, as JSON Lines in a folder.

    corrections.jsonl        question, answer, keys, paraphrases, neighbours
    more_corrections.jsonl   the same, for scale
    controls.jsonl           question, keys: questions that the model answers rightly

An answer is right if one of the keys occurs in it, whatever the case of the letters. Nothing is trained on these cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yearling.errors import NotFound


@dataclass(frozen=True, slots=True)
class CorrectionCase:
    """One correction. `neighbours` are questions whose answer must contain no key of any correction."""

    question: str
    answer: str
    keys: tuple[str, ...]
    paraphrases: tuple[str, ...]
    neighbours: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ControlCase:
    """A question that the bare model answers rightly."""

    question: str
    keys: tuple[str, ...]


def read_corrections(folder: Path, *, num_more: int) -> list[CorrectionCase]:
    """The corrections of a folder, and the first `num_more` of the further ones, taken evenly over the file."""
    corrections = [_correction(row) for row in _rows(folder / "corrections.jsonl")]
    more = [_correction(row) for row in _rows(folder / "more_corrections.jsonl")]
    stride = max(1, len(more) // num_more) if num_more else 1
    return [*corrections, *more[::stride][:num_more]]


def read_controls(folder: Path) -> list[ControlCase]:
    """The control questions of a folder."""
    return [ControlCase(row["question"], tuple(row["keys"])) for row in _rows(folder / "controls.jsonl")]


def has_key(answer: str, keys: Sequence[str]) -> bool:
    """Whether one of the keys occurs in the answer."""
    return any(key.lower() in answer.lower() for key in keys)


def _correction(row: dict[str, Any]) -> CorrectionCase:
    return CorrectionCase(row["question"], row["answer"], tuple(row["keys"]), tuple(row["paraphrases"]), tuple(row["neighbours"]))


def _rows(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except FileNotFoundError:
        raise NotFound(f"There is no {path}.", advice="Give a folder with corrections.jsonl and the others.") from None
