"""The invented facts of `families.toml`: what a correction may say, and the ways in which people ask for it.

Knows texts only. The file is checked when it is read, because a gap in it would train a worse reader without a word.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FAMILIES_PATH = Path(__file__).with_name("families.toml")

Turn = tuple[str, str]
"""A question and its answer."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One invented fact. `entries` are its wordings as a correction, `asks` other questions that it answers, `twists` questions
    about the same thing that it does not answer.

    `rivals` are entries with the questions of `entries` and the answers of other facts, wherever the family allows that: what a
    later correction contradicts."""

    family: str
    entries: tuple[Turn, ...]
    asks: tuple[str, ...]
    twists: tuple[str, ...]
    rivals: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class ReaderTexts:
    """Everything in the file. `near` are questions by family that no fact answers, `general` questions of any kind, `chat` turns
    about other things, `system` system messages."""

    facts: tuple[Fact, ...]
    near: Mapping[str, tuple[str, ...]]
    general: tuple[str, ...]
    chat: tuple[Turn, ...]
    system: tuple[str, ...]

    def facts_of(self, family: str) -> list[Fact]:
        """The facts of a family."""
        return [fact for fact in self.facts if fact.family == family]


@cache
def read_reader_texts(path: Path = FAMILIES_PATH) -> ReaderTexts:
    """The texts of a file. Raises ValueError if a family, a fact or a part is incomplete."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    families: list[dict[str, Any]] = content["families"]
    facts = [_fact(family, fact) for family in families for fact in family["facts"]]
    texts = ReaderTexts(
        facts=tuple(facts),
        near={family["name"]: tuple(family["near"]) for family in families},
        general=tuple(content["general"]),
        chat=tuple((question, answer) for question, answer in content["chat"]),
        system=tuple(content["system"]),
    )
    if not (texts.general and texts.chat and texts.system and all(texts.near.values())):
        raise ValueError(f"{path.name} lacks general questions, chat turns, system messages or near questions")
    return texts


def _fact(family: Mapping[str, Any], fact: Sequence[str]) -> Fact:
    subject, value, *rest = fact
    takes_third = any("{c}" in part for entry in family["entries"] for part in entry)
    third, own_asks = (rest[0], rest[1:]) if takes_third else ("", rest)
    entries = tuple(_entry(entry, subject, value, third) for entry in family["entries"])
    asks = (*(_fill(ask, subject, value, third) for ask in family["asks"]), *own_asks)
    values = dict.fromkeys(other[1] for other in family["facts"] if other[1] != value)
    can_rival = not takes_third and "{b}" not in [answer for _, answer in family["entries"]] and not own_asks
    rivals = tuple(_entry(entry, subject, other, third) for entry in family["entries"] for other in values) if can_rival else ()
    if not entries or not asks:
        raise ValueError(f"the fact {subject!r} of the family {family['name']!r} has no other way to ask for it")
    twists = tuple(_capitalise(_fill(twist, subject, value, third)) for twist in family["twists"])
    unfilled = [
        text for text in (*asks, *twists, *(part for entry in entries for part in entry)) if re.search(r"\{[a-zA-Z]\}", text)
    ]
    if unfilled:
        raise ValueError(f"the fact {subject!r} of the family {family['name']!r} leaves a gap: {unfilled[0]!r}")
    return Fact(family["name"], entries, asks, twists, rivals)


def _entry(entry: Sequence[str], subject: str, value: str, third: str) -> Turn:
    question, answer = (_capitalise(_fill(part, subject, value, third)) for part in entry)
    return question, answer


def _fill(template: str, subject: str, value: str, third: str) -> str:
    fields = {"{a}": subject, "{A}": _capitalise(subject), "{b}": value, "{c}": third}
    return re.sub(r"\{[aAbc]\}", lambda match: fields[match[0]], template)


def _capitalise(text: str) -> str:
    return text[:1].upper() + text[1:]
