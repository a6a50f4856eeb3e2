"""How long does deleting a conversation take, and how long does it keep other writers waiting?

    python -m tests.store.delete_bench [messages]

Fills a store on SQLite, deletes conversations one after the other, and meanwhile writes messages elsewhere as fast as it goes.
After each delete the data folder is searched for the words that are gone.
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

_EACH = 50
_DELETES = 12


def fill(store: Store, person_id: str, count: int) -> None:
    """Conversations of `_EACH` messages with words as frequent as words are; each also has a word of its own."""
    rng = random.Random(1)
    words = [f"w{number:05}" for number in range(20_000)]
    weights = [1 / (rank + 5) for rank in range(len(words))]
    for at in range(count // _EACH):
        conversation = Conversation(id=new_id(), person_id=person_id, title="", created_utc=now_utc(), updated_utc=now_utc())
        tree: list[Message] = []
        for _ in range(_EACH):
            said = " ".join([*rng.choices(words, weights, k=60), f"secret{at:06}end"])
            above = tree[-1].id if tree else None
            tree.append(
                Message(
                    id=new_id(),
                    conversation_id=conversation.id,
                    parent_id=above,
                    role="user",
                    content=said,
                    created_utc=now_utc(),
                )
            )
        store.conversations.insert_tree(conversation, tree)


def write_on(store: Store, person_id: str, stop: threading.Event, waits: list[float]) -> None:
    mine = store.conversations.create(person_id)
    while not stop.is_set():
        begun = time.perf_counter()
        store.conversations.add_message(mine.id, person_id=person_id, role="user", content=f"still here {len(waits)}")
        waits.append(time.perf_counter() - begun)
        time.sleep(0.005)


def left(folder: Path, word: str) -> list[str]:
    """Files of the data folder in which a word still stands."""
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as scratch, Store.open(Settings(data_dir=Path(scratch))) as store:
        person = store.people.owner().id
        fill(store, person, count)
        size = sum(path.stat().st_size for path in Path(scratch).rglob("*") if path.is_file())
        print(f"{count} messages, {size / 1e6:.0f} MB")
        stop, waits = threading.Event(), list[float]()
        writer = threading.Thread(target=write_on, args=(store, person, stop, waits))
        writer.start()
        took, found = [], []
        chosen = random.Random(2).sample(store.conversations.list(person)[1:], _DELETES)
        for one in chosen:
            word = store.conversations.list_messages(one.id, person_id=person)[0].content.split()[-1]
            begun = time.perf_counter()
            store.delete_conversation(one.id, person_id=person)
            took.append(time.perf_counter() - begun)
            found += left(Path(scratch), word)
        stop.set()
        writer.join()
    print(f"a delete: median {statistics.median(took):.3f} s, longest {max(took):.3f} s")
    print(f"a write meanwhile: median {statistics.median(waits):.3f} s, longest {max(waits):.3f} s, {len(waits)} writes")
    print(f"places where a deleted word was left: {len(found)} {found[:3]}")


if __name__ == "__main__":
    main()
