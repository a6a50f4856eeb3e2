"""A server with something to judge: a round of pairs, offered answers, and people who have judged some of them.

python -m tests.web.rating_site        # prints its address; stop with Ctrl-C
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.live import live
from tests.store.examples import make_sample
from tests.web.site import SHOWCASE, hide_request_logs, wait_for_interrupt
from yearling.api import create_app
from yearling.config import Settings
from yearling.feedback import FeedbackLog, create_round
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.store import RoundAnswer, RoundQuestion, Store, make_text

PASSWORD = "a pass phrase for everybody here"

QUESTIONS = (
    "How do I keep bread fresh?",
    "Explain photosynthesis to a **ten-year-old**.",
    "What is the difference between a virus and a bacterium?",
    "Which `git` command undoes the last commit?",
    "为什么天空是蓝色的？",
    "Write a toast for a wedding.",
    "How much is $2^{10}$?",
    "What should I see in Lisbon in one day?",
    "Is it safe to eat raw eggs?",
    "How do I ask for a raise?",
)


@dataclass(frozen=True)
class RatingSite:
    address: str
    store: Store
    log: FeedbackLog

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {"address": self.address, "password": PASSWORD, "pairs": len(QUESTIONS)}


@contextmanager
def serve_rating_site(folder: Path) -> Iterator[RatingSite]:
    """Serve until the context ends."""
    settings = Settings(data_dir=folder, comparison_rate=0, login_attempts=0, rate_limit_per_minute=0)
    with Store.open(settings) as store:
        owner = store.people.owner().id
        store.passwords.set(owner, PASSWORD, actor=owner)
        for name in ("Ann", "Ben", "Cleo", "Dan", "Eve"):
            store.passwords.set(store.people.add(name).id, PASSWORD, actor=owner)
        store.passwords.set(store.people.add("Rea", "reader").id, PASSWORD, actor=owner)
        log = FeedbackLog(store)
        fill_rating(store, log)
        pool = EnginePool.from_open_models([fake_served_model("fake-model", FakeEngine(["Hello."]))])
        with live(create_app(settings, store, pool)) as address:
            yield RatingSite(address, store, log)


def fill_rating(store: Store, log: FeedbackLog) -> None:
    """A round of pairs, and two offers with a note. Three people have judged the pairs' first answers."""
    owner = store.people.owner().id
    made = create_round(
        store, owner, title="Everyday questions", questions=[RoundQuestion(question=q) for q in QUESTIONS], people_per_pair=9
    )
    for pair in store.rounds.pairs([made.id]):
        long = (
            f"{SHOWCASE}\n\nThat is the long answer." if pair.position == 1 else f"A short answer.\n\n- {pair.question}\n- Done."
        )
        short = f"**In brief:** it depends. See point {pair.position + 1}."
        answers = []
        for text in (long, short):
            sample = make_sample(owner, output_text=text)
            messages = [{"role": "user", "content": pair.question}]
            public = make_text(sample.id, "answer", {"messages": messages, "text": text})
            answers.append(RoundAnswer(text=public, sample=sample))
        store.rounds.record_answers(pair.id, *answers)
    history = [
        {"role": "user", "content": "I have a cold."},
        {"role": "assistant", "content": "I am sorry to hear that."},
        {"role": "user", "content": "What helps?"},
    ]
    for number in range(2):
        text = f"Rest, *water*, and patience (offer {number + 1})."
        store.texts.add([make_text(f"offer-{number}", "offer", {"messages": history, "text": text}, person_id=owner)])
    log.add_note(store.people.get_by_name("Cleo").id, "offer-0", "A doctor should see a cold that lasts **two weeks**.")
    for pair in store.rounds.pairs([made.id]):
        assert pair.left_item
        assert pair.right_item
        for name in ("Cleo", "Dan", "Eve"):
            log.compare(store.people.get_by_name(name).id, pair.left_item, pair.right_item, "left")


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder, serve_rating_site(Path(folder)) as running:
        print(running.facts, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
