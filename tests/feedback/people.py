"""Helpers: a store with people and answers, and simulated communities that judge them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.consensus.simulation import Population, plant_truth, simulate_comparisons, simulate_ratings
from tests.store.examples import make_sample
from yearling.config import Settings
from yearling.feedback import FeedbackLog, Pseudonyms, event_to_dict
from yearling.store import Store


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
    return [replace(event, actor=names.for_person(event.actor)) for event in events]


def append_events(log: FeedbackLog, events: list[Any]) -> None:
    """Append events to the log as they are, without the checks of its methods."""
    log.store.events.append([event_to_dict(event) for event in events])
