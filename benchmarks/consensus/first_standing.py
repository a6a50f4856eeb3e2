"""Measures how long a thumb takes until its person sees where the answer stands, over a log of many events.

    python -m benchmarks.consensus.first_standing --events 100000

Each measurement is one new rating by an invited person: the checks, the append to the log, and the status with its explanation,
as the API answers it. It is measured before any run of the consensus exists, after a restart (a run is recorded, but its fits are
not computed), and with the fits. The full run goes on in the background and is not part of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from benchmarks.consensus.simulation import START_UTC
from yearling.config import Settings
from yearling.feedback import FeedbackEvent, FeedbackLog, LiveConsensus, Pseudonyms, Rating, event_to_dict, explain_item
from yearling.feedback.admissions import admissions_for_import
from yearling.store import Store, make_text

NUM_ITEMS = 2_000
NUM_RATERS = 1_000
NUM_THUMBS = 100
_BATCH = 5_000


def main() -> None:
    """Print the median and the 95th percentile of each situation, in milliseconds of wall and processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    num_events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder, Store.open(Settings(data_dir=Path(folder))) as store:
        log = FeedbackLog(store)
        fill(log, num_events)
        person = store.people.add("Ann").id
        with log.index.consistent_view():
            pass  # the server reads the log when it starts
        report("before any run", *measure(LiveConsensus(log), person, range(NUM_THUMBS)))
        live = LiveConsensus(log)
        live.run_now()
        report("with a run", *measure(live, person, range(NUM_THUMBS, 2 * NUM_THUMBS)))
        report("after a restart", *measure(LiveConsensus(log), person, range(2 * NUM_THUMBS, 3 * NUM_THUMBS)))


def fill(log: FeedbackLog, num_events: int) -> None:
    """Append ratings of public items by accounts of an imported log."""
    generator = np.random.default_rng(0)
    names = Pseudonyms(b"benchmark")
    accounts = [names.for_person(f"u{u}") for u in range(NUM_RATERS)]
    events: list[FeedbackEvent] = list(admissions_for_import(accounts, "log", names, START_UTC))
    pairs = generator.choice(NUM_RATERS * NUM_ITEMS, num_events, replace=False)
    events += [
        Rating(
            id=f"r{k:08d}",
            created_utc=START_UTC + timedelta(seconds=k),
            actor=accounts[pair // NUM_ITEMS],
            item=f"i{pair % NUM_ITEMS}",
            value=float(generator.random() < 0.6),
        )
        for k, pair in enumerate(pairs.tolist())
    ]
    for start in range(0, len(events), _BATCH):
        log.store.events.append([event_to_dict(event) for event in events[start : start + _BATCH]])
    log.store.texts.add(make_text(f"i{k}", "answer", {"messages": [], "text": f"Answer {k}."}) for k in range(NUM_ITEMS))


def measure(live: LiveConsensus, person: str, items: range) -> tuple[list[float], list[float]]:
    """Rate one item after the other. Returns wall and processor milliseconds of each."""
    wall_ms, cpu_ms = [], []
    for item in items:
        wall, cpu = time.perf_counter(), time.process_time()
        live.log.rate(person, f"i{item}", 1.0)
        status = live.item_status(f"i{item}")
        if status.result is None or not status.is_provisional:
            raise RuntimeError("the thumb is not in the status")
        explain_item(status.result, live.parameters.status, degree=live.visible_degree)
        wall_ms.append(1000.0 * (time.perf_counter() - wall))
        cpu_ms.append(1000.0 * (time.process_time() - cpu))
    return wall_ms, cpu_ms


def report(situation: str, wall_ms: list[float], cpu_ms: list[float]) -> None:
    """Print one line; the first thumb is given apart, since it reads what later ones have in memory."""
    figures = [f"{np.percentile(values, share):.1f}" for values in (wall_ms, cpu_ms) for share in (50, 95)]
    print(
        f"{situation:16} wall p50 {figures[0]} p95 {figures[1]} ms, processor p50 {figures[2]} p95 {figures[3]} ms; "
        f"first {wall_ms[0]:.1f} ms (processor {cpu_ms[0]:.1f})",
        flush=True,
    )


if __name__ == "__main__":
    main()
