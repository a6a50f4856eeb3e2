"""The examples that each step of a reader learns from, as messages.

A positive example has a fact as an earlier turn and asks for it in other words; its answer is that of the fact. A negative
example has facts in front that do not answer its question; the reader must answer as the bare model does without them. Positive
examples vary: several facts in front, one that a later one contradicts, turns of another chat before or after, a system message
or none, careless typing. Seed and step determine everything. Knows texts only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from yearling.training.reader.families import Fact, ReaderTexts, Turn

Messages = list[dict[str, str]]

_SYSTEM_SHARE, _CHAT_SHARE = 0.6, 0.2
_SECOND_FACT_SHARE, _RIVAL_SHARE, _VERBATIM_SHARE = 0.25, 0.08, 0.1
_CARELESS_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class PositiveExample:
    """A prompt whose answer stands in it."""

    messages: Messages
    answer: str


@dataclass(frozen=True, slots=True)
class NegativeExample:
    """The same question with facts in front that do not answer it (`messages`), and without (`bare_messages`)."""

    messages: Messages
    bare_messages: Messages


@dataclass(frozen=True, slots=True)
class StepExamples:
    """What one step learns from."""

    positives: list[PositiveExample]
    negatives: list[NegativeExample]


def examples_of_step(texts: ReaderTexts, *, seed: int, step: int, num_positives: int, num_negatives: int) -> StepExamples:
    """The examples of a step; the first step is 1. Each fact is asked for once before one is asked for again."""
    rng = random.Random(f"reader {seed} {step}")
    facts = _facts_of_step(texts, seed, step, num_positives)
    positives = [_positive(texts, fact, rng) for fact in facts]
    wrong_facts = rng.choices(texts.facts, k=num_negatives)
    return StepExamples(positives, [_negative(texts, fact, rng) for fact in wrong_facts])


def _facts_of_step(texts: ReaderTexts, seed: int, step: int, count: int) -> list[Fact]:
    """The step's slice of an endless sequence of passes over all facts, each in a new random order."""
    facts: list[Fact] = []
    start = (step - 1) * count
    while len(facts) < count:
        pass_number, offset = divmod(start + len(facts), len(texts.facts))
        order = random.Random(f"facts {seed} {pass_number}").sample(texts.facts, len(texts.facts))
        facts += order[offset : offset + count - len(facts)]
    return facts


def _positive(texts: ReaderTexts, fact: Fact, rng: random.Random) -> PositiveExample:
    entry = rng.choice(fact.entries)
    front = [entry]
    if fact.rivals and rng.random() < _RIVAL_SHARE:
        front.insert(0, rng.choice([rival for rival in fact.rivals if rival[0] == entry[0]]))
    elif rng.random() < _SECOND_FACT_SHARE:
        front.insert(rng.randrange(2), rng.choice(_other_fact(texts, fact, rng).entries))
    others = [question for question, _ in fact.entries if question != entry[0]]
    question = entry[0] if rng.random() < _VERBATIM_SHARE else rng.choice([*fact.asks, *others])
    system, chat = _system(texts, rng), _chat(texts, rng)
    return PositiveExample(_messages(system, front, chat, _careless(question, rng), rng), entry[1])


def _negative(texts: ReaderTexts, fact: Fact, rng: random.Random) -> NegativeExample:
    kind = rng.random()
    if kind < 0.05 and fact.twists:
        question = rng.choice(fact.twists)
    elif kind < 0.4:
        other = rng.choice([each for each in texts.facts_of(fact.family) if each is not fact])
        question = rng.choice([*other.asks, *(asked for asked, _ in other.entries)])
    elif kind < 0.7:
        question = rng.choice(texts.near[fact.family])
    elif kind < 0.9:
        question = rng.choice(texts.general)
    else:
        other = _other_fact(texts, fact, rng, same_family=False)
        question = rng.choice([*other.asks, *(asked for asked, _ in other.entries)])
    front = [rng.choice(fact.entries)]
    if rng.random() < _SECOND_FACT_SHARE:
        second = rng.choice(texts.facts)
        if all(asked != question for asked in (*second.asks, *(entry[0] for entry in second.entries))):
            front.append(rng.choice(second.entries))
    system, chat, question = _system(texts, rng), _chat(texts, rng), _careless(question, rng)
    return NegativeExample(_messages(system, front, chat, question, rng), _messages(system, [], chat, question, rng))


def _other_fact(texts: ReaderTexts, fact: Fact, rng: random.Random, *, same_family: bool | None = None) -> Fact:
    """Another fact, of the same family half of the time unless `same_family` says which."""
    same = rng.random() < 0.5 if same_family is None else same_family
    return rng.choice([each for each in texts.facts if each is not fact and (each.family == fact.family) is same])


def _system(texts: ReaderTexts, rng: random.Random) -> str:
    return rng.choice(texts.system) if rng.random() < _SYSTEM_SHARE else ""


def _chat(texts: ReaderTexts, rng: random.Random) -> list[Turn]:
    return rng.sample(texts.chat, rng.choice([1, 1, 2])) if rng.random() < _CHAT_SHARE else []


def _messages(system: str, front: Sequence[Turn], chat: Sequence[Turn], question: str, rng: random.Random) -> Messages:
    turns = [*front, *chat] if rng.random() < 0.5 else [*chat, *front]
    messages = [{"role": "system", "content": system}] if system else []
    for asked, answer in turns:
        messages += [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return [*messages, {"role": "user", "content": question}]


def _careless(question: str, rng: random.Random) -> str:
    """The question, sometimes as people type it in a hurry: without capitals and end, and with two letters swapped."""
    if rng.random() >= _CARELESS_SHARE:
        return question
    typed = question.lower().rstrip(".?!")
    if len(typed) > 20 and rng.random() < 0.4:
        index = rng.randrange(1, len(typed) - 2)
        if typed[index].isalpha() and typed[index + 1].isalpha():
            typed = typed[:index] + typed[index + 1] + typed[index] + typed[index + 2 :]
    return typed
