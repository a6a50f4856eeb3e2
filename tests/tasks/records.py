"""Helpers: a store with answers, judgements and consensus runs to build lessons from."""

from __future__ import annotations

from typing import Any

from tests.store.examples import make_sample
from yearling.clock import new_id
from yearling.feedback import Edit, EventIndex, FeedbackLog, event_to_dict, run_and_record
from yearling.records import Person, Sample
from yearling.store import make_text

WORDS = (
    "river",
    "stone",
    "lamp",
    "garden",
    "bridge",
    "winter",
    "pocket",
    "music",
    "window",
    "bread",
    "paper",
    "forest",
    "mirror",
)


def distinct_text(number: int, length: int = 30) -> str:
    """Return text that depends on `number` only, and shares no long run of words with that of other numbers."""
    state, words = number * 2654435761 % 2**32, list[str]()
    for _ in range(length):
        state = (state * 1103515245 + 12345) % 2**31
        words.append(f"{WORDS[(state >> 16) % len(WORDS)]}{(state >> 8) % 7}")
    return " ".join(words)


def add_answer(log: FeedbackLog, person_id: str, number: int, *, text: str | None = None, **changes: Any) -> str:
    """Store an answer to the question with this number, and return its id."""
    sample = _sample(person_id, number, text=text, **changes)
    log.store.samples.add(sample)
    return sample.id


def _sample(person_id: str, number: int, *, text: str | None = None, **changes: Any) -> Sample:
    values: dict[str, Any] = {
        "messages": (
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": f"Question {distinct_text(number, 12)}?"},
        ),
        "prompt_ids": (1, number),
        "output_ids": (7, number, 2),
        "output_text": text if text is not None else distinct_text(number + 1000),
    }
    return make_sample(person_id, **{**values, **changes})


def add_edited_answers(log: FeedbackLog, person_id: str, numbers: range) -> None:
    """Store answers to the questions with these numbers, and an edit of each, in two transactions."""
    samples = [_sample(person_id, number) for number in numbers]
    log.store.samples.add_many(samples)
    created_utc = log.index.next_event_utc()
    texts = [make_text(new_id(), "edit", {"text": distinct_text(5000 + number)}, person_id=person_id) for number in numbers]
    events = [
        Edit(id=text.id, created_utc=created_utc, actor=log.pseudonym(person_id), item=sample.id, result=text.id)
        for sample, text in zip(samples, texts, strict=True)
    ]
    log.store.events.append([event_to_dict(event) for event in events], texts=texts)


def add_members(log: FeedbackLog, count: int) -> list[Person]:
    """Add `count` members."""
    return [log.store.people.add(f"member {number}") for number in range(count)]


def record_consensus_run(log: FeedbackLog) -> None:
    """Run the consensus over the current log, and record it."""
    run_and_record(log.store, EventIndex(log.store))
