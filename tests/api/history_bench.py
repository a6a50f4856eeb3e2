"""Measure the history page with much data: 1,000 people, 100,000 messages, 300,000 judgements, on SQLite.

    python -m tests.api.history_bench [--people 1000] [--messages 100000] [--judgements 300000] [--requests 200]

Fills a data folder (which `--folder` keeps and reuses), serves it on loopback, and sends requests of many people: the first and
the next page, a folder, searches in English and Chinese, and conversations with own ratings. Prints the median and the 95th
percentile of each kind in milliseconds: once while the consensus processes the whole log in the background, as after a start, and
once when it is idle. The limit applies to both together.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx

from tests.api.live import live
from tests.store.examples import make_sample
from yearling.api import create_app
from yearling.clock import new_id, now_utc
from yearling.config import Settings
from yearling.feedback import FeedbackLog, Rating, event_to_dict
from yearling.inference import EnginePool, fake_served_model
from yearling.records import Conversation, Message, Person, Sample
from yearling.store import Store

PER_CONVERSATION = 10
LIMIT_MS = 100.0
PLAIN = """garden weather recipe python holiday music letter budget train history doctor window coffee paper river mountain school
language market engine bridge candle forest island kitchen ladder mirror needle orange pencil"""
WORDS = tuple(PLAIN.split())
CHINESE = "今天天气很好我们去公园散步吃饭学习语言音乐历史城市河流火车咖啡厨房窗户信件预算医生假期"


def random_text(rng: random.Random, count: int) -> str:
    plain = " ".join(rng.choice(WORDS) for _ in range(count))
    at = rng.randrange(len(CHINESE) - 8)
    return f"{plain} {CHINESE[at : at + 8]}。"


def fill(store: Store, people: int, messages: int, judgements: int, report: Callable[[str], None]) -> None:
    rng = random.Random(1)
    persons = [store.people.owner(), *(store.people.add(f"person {number}") for number in range(people - 1))]
    folders = {person.id: store.folders.create(person.id, "Work").id for person in persons}
    start_utc = now_utc() - timedelta(days=300)
    items: list[str] = []
    for number in range(messages // PER_CONVERSATION):
        person = persons[number % len(persons)]
        when = start_utc + timedelta(minutes=number)
        conversation, tree = make_conversation(store, person, when, rng, items)
        store.conversations.insert_tree(replace(conversation, folder_id=folders[person.id] if rng.random() < 0.3 else None), tree)
        if number % 1000 == 999:
            report(f"{(number + 1) * PER_CONVERSATION} messages")
    log = FeedbackLog(store)
    actors = [log.pseudonym(person.id) for person in persons]
    for start in range(0, judgements, 20_000):
        events = []
        for at in range(start, min(start + 20_000, judgements)):
            events.append(
                event_to_dict(
                    Rating(
                        id=new_id(),
                        created_utc=start_utc + timedelta(seconds=at),
                        actor=actors[at % len(actors)],
                        item=items[rng.randrange(len(items))],
                        value=rng.choice((0.0, 0.5, 1.0)),
                        tags=("clear",) if at % 3 else (),
                    )
                )
            )
        store.events.append(events)
        report(f"{start + len(events)} judgements")


def make_conversation(
    store: Store, person: Person, when: datetime, rng: random.Random, items: list[str]
) -> tuple[Conversation, list[Message]]:
    conversation_id = new_id()
    tree: list[Message] = []
    samples: list[Sample] = []
    parent: str | None = None
    for turn in range(PER_CONVERSATION):
        is_question = turn % 2 == 0
        text, sample_id = random_text(rng, 12 if is_question else 60), None
        if not is_question:
            sample = make_sample(person.id, output_text=text, messages=({"role": "user", "content": tree[-1].content},))
            samples.append(sample)
            sample_id = sample.id
            items.append(sample.id)
        tree.append(
            Message(
                id=new_id(),
                conversation_id=conversation_id,
                parent_id=parent,
                role="user" if is_question else "assistant",
                content=text,
                created_utc=when,
                sample_id=sample_id,
                model="" if is_question else "fake-model",
                finish_reason=None if is_question else "stop",
            )
        )
        parent = tree[-1].id
    store.samples.add_many(samples)
    conversation = Conversation(
        id=conversation_id, person_id=person.id, title=random_text(rng, 4), leaf_id=parent, created_utc=when, updated_utc=when
    )
    return conversation, tree


def measure(address: str, keys: list[str], requests: int, report: Callable[[str], None]) -> list[float]:
    """The durations of all requests in milliseconds. Reports them by kind."""
    rng = random.Random(2)
    times: dict[str, list[float]] = {}
    with httpx.Client(base_url=address, timeout=60) as client:

        def timed(kind: str, path: str, key: str, **query: str | int) -> httpx.Response:
            started = time.perf_counter()
            response = client.get(path, params=query, headers={"x-api-key": key})
            times.setdefault(kind, []).append((time.perf_counter() - started) * 1000)
            response.raise_for_status()
            return response

        for number in range(requests):
            key = keys[rng.randrange(len(keys))]
            page = timed("first page", "/v1/chats", key, limit=50).json()
            if page["next"]:
                timed("next page", "/v1/chats", key, limit=50, after=page["next"])
            else:
                timed("page of 5", "/v1/chats", key, limit=5)
            folder = client.get("/v1/folders", headers={"x-api-key": key}).json()["data"][0]["id"]
            timed("a folder", "/v1/chats", key, folder=folder)
            timed("search, a word", "/v1/chats", key, q=rng.choice(WORDS))
            timed("search, two words", "/v1/chats", key, q=" ".join(rng.sample(WORDS, 2)))
            at = rng.randrange(len(CHINESE) - 2)
            timed("search, Chinese", "/v1/chats", key, q=CHINESE[at : at + 2])
            timed("search, no hit", "/v1/chats", key, q="zebra")
            timed("a conversation", f"/v1/chats/{rng.choice(page['data'])['id']}", key)
            if number == 0:
                times.clear()  # the first round warms up
    for kind, durations_ms in times.items():
        report(f"  {kind:18} median {statistics.median(durations_ms):6.1f} ms   p95 {p95(durations_ms):6.1f} ms")
    return [duration_ms for durations_ms in times.values() for duration_ms in durations_ms]


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def run(folder: Path, people: int, messages: int, judgements: int, requests: int, report: Callable[[str], None]) -> float:
    """The 95th percentile of all requests in milliseconds."""
    settings = Settings(data_dir=folder, rate_limit_per_minute=0)
    with Store.open(settings) as store:
        if len(store.people.list()) < people:
            fill(store, people, messages, judgements, report)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        report(f"{people} people, {messages} messages, {store.events.head().sequence} events in {size / 1e6:.0f} MB of SQLite")
        persons = random.Random(3).sample(store.people.list(), min(people, 100))
        keys = [store.api_keys.create(person.id, "bench", ("read",))[0] for person in persons]
        app = create_app(settings, store, EnginePool.from_open_models([fake_served_model()]))
        with live(app) as address:
            started, times = time.perf_counter(), []
            for resting in (False, True):
                while resting and not at_rest(store):
                    time.sleep(0.5)
                doing = "the consensus rests" if resting else "the log is read and the consensus works"
                report(f"{time.perf_counter() - started:.0f} s after the start, {doing}:")
                times += measure(address, keys, requests, report)
            return p95(times)


def at_rest(store: Store) -> bool:
    """Whether a consensus run has seen the whole log."""
    newest = store.consensus_runs.get_newest()
    return newest is not None and not store.events.entries(after=newest.up_to + newest.num_changes, limit=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    for name, number in (("people", 1000), ("messages", 100_000), ("judgements", 300_000), ("requests", 200)):
        parser.add_argument(f"--{name}", type=int, default=number)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        p95_ms = run(
            arguments.folder or Path(scratch),
            arguments.people,
            arguments.messages,
            arguments.judgements,
            arguments.requests,
            print,
        )
    print(f"p95 of all requests: {p95_ms:.1f} ms (limit {LIMIT_MS:.0f} ms)")
    sys.exit(p95_ms > LIMIT_MS)


if __name__ == "__main__":
    main()
