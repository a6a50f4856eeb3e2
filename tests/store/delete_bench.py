"""Benchmark of deletion: how long deleting a conversation takes, and how long other writers wait meanwhile.

    python -m tests.store.delete_bench [messages]

Fills a store on SQLite and deletes conversations one by one while a thread writes messages to another one. After each deletion it
searches the data folder for the deleted words.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from yearling.clock import new_id, now_utc
from yearling.config import Settings
from yearling.records import Conversation, Message
from yearling.store import Store

_MESSAGES_PER_CONVERSATION = 50
_NUM_DELETIONS = 12


def fill(store: Store, person_id: str, count: int) -> None:
    """Store conversations of `_MESSAGES_PER_CONVERSATION` messages with a natural distribution of words and one unique word."""
    rng = random.Random(1)
    words = [f"w{number:05}" for number in range(20_000)]
    weights = [1 / (rank + 5) for rank in range(len(words))]
    for index in range(count // _MESSAGES_PER_CONVERSATION):
        conversation = Conversation(id=new_id(), person_id=person_id, title="", created_utc=now_utc(), updated_utc=now_utc())
        tree: list[Message] = []
        for _ in range(_MESSAGES_PER_CONVERSATION):
            content = " ".join([*rng.choices(words, weights, k=60), f"secret{index:06}end"])
            parent_id = tree[-1].id if tree else None
            tree.append(
                Message(
                    id=new_id(),
                    conversation_id=conversation.id,
                    parent_id=parent_id,
                    role="user",
                    content=content,
                    created_utc=now_utc(),
                )
            )
        store.conversations.insert_tree(conversation, tree)


def write_until_stopped(store: Store, person_id: str, stop: threading.Event, waits: list[float]) -> None:
    conversation = store.conversations.create(person_id)
    while not stop.is_set():
        started = time.perf_counter()
        store.conversations.add_message(conversation.id, person_id=person_id, role="user", content=f"still here {len(waits)}")
        waits.append(time.perf_counter() - started)
        time.sleep(0.005)


def find_files_with(folder: Path, word: str) -> list[str]:
    """The names of files in the data folder that contain a word."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as scratch, Store.open(Settings(data_dir=Path(scratch))) as store:
        person = store.people.owner().id
        fill(store, person, count)
        size = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
        print(f"{count} messages, {size / 1e6:.0f} MB")
        stop, waits = threading.Event(), list[float]()
        writer = threading.Thread(target=write_until_stopped, args=(store, person, stop, waits))
        writer.start()
        durations_s, found = [], []
        doomed = random.Random(2).sample(store.conversations.list(person)[1:], _NUM_DELETIONS)
        for deleted in doomed:
            word = store.conversations.list_messages(deleted.id, person_id=person)[0].content.split()[-1]
            started = time.perf_counter()
            store.delete_conversation(deleted.id, person_id=person)
            durations_s.append(time.perf_counter() - started)
            found += find_files_with(Path(scratch), word)
        stop.set()
        writer.join()
    print(f"a deletion: median {statistics.median(durations_s):.3f} s, longest {max(durations_s):.3f} s")
    print(f"a write meanwhile: median {statistics.median(waits):.3f} s, longest {max(waits):.3f} s, {len(waits)} writes")
    print(f"files that contain a deleted word: {len(found)} {found[:3]}")


if __name__ == "__main__":
    main()
