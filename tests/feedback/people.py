"""Helpers: a store with people and answers, and simulated communities that judge them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.consensus.simulation import START_UTC, Population, plant_truth, simulate_comparisons, simulate_ratings
from tests.store.examples import make_sample
from yearling.config import Settings
from yearling.feedback import Admission, FeedbackLog, Pseudonyms, event_to_dict
from yearling.feedback.pseudonyms import SYSTEM_ACTOR
from yearling.store import Store, make_text


@contextmanager
def open_feedback_log(folder: Path, database_url: str = "") -> Iterator[FeedbackLog]:
    """Open the feedback log of a new store."""
    with Store.open(Settings(data_dir=folder, database_url=database_url)) as store:
        yield FeedbackLog(store)


def add_answers(log: FeedbackLog, person_id: str, count: int = 2) -> list[str]:
    """Store answers for a person, and return their ids."""
    made = [make_sample(person_id) for _ in range(count)]
    log.store.samples.add_many(made)
    return [sample.id for sample in made]


def simulate_events(*, seed: int = 0, num_raters: int = 40, num_items: int = 30, comparisons: int = 0) -> list[Any]:
    """Return the events of a planted population, under pseudonyms as in the log."""
    p = Population(num_raters=num_raters, num_items=num_items, seed=seed)
    world, names = plant_truth(p), Pseudonyms(b"key of the tests")
    events = simulate_ratings(world, p) + (
        simulate_comparisons(world, p, comparisons_per_rater=comparisons) if comparisons else []
    )
    admissions = [
        Admission(id=f"a{u:07d}", created_utc=START_UTC, actor=SYSTEM_ACTOR, account=names.for_person(f"u{u}"), basis="log")
        for u in range(num_raters)
    ]
    return [*admissions, *(replace(event, actor=names.for_person(event.actor)) for event in events)]


def append_events(log: FeedbackLog, events: list[Any]) -> None:
    """Append events to the log as they are, without the checks of its methods, and publish the simulated items."""
    log.store.events.append([event_to_dict(event) for event in events])
    named = {getattr(event, name, "") for event in events for name in ("item", "left", "right")}
    publish(log, *sorted(item for item in named if re.fullmatch(r"i[0-9]+", item)))


def publish(log: FeedbackLog, *items: str) -> None:
    """Give answers a public text, as an import of judgements does, so that everybody can read and judge them."""
    unknown = set(items) - set(log.store.texts.get_many(items))
    log.store.texts.add(make_text(item, "answer", {"messages": [], "text": f"The answer {item}."}) for item in sorted(unknown))
