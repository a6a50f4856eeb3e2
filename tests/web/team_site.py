"""A server on its first day: an owner with a password, nobody else, nothing judged, and a model with two answers to everything.

python -m tests.web.team_site        # prints its address; stop with Ctrl-C
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api.live import live
from tests.web.site import hide_request_logs, wait_for_interrupt
from yearling.api import create_app
from yearling.cli.jobs.kinds import register_job_kinds
from yearling.config import Settings
from yearling.inference import EnginePool, FakeEngine, fake_served_model
from yearling.store import Store

PASSWORD = "a pass phrase for everybody here"

QUESTIONS = (
    "How do I keep bread fresh for a week?",
    "What should I check before I buy a used bicycle?",
    "How do I remove a coffee stain from a shirt?",
    "Which plants survive in a dark corner?",
    "How do I explain a loan to a child?",
    "What helps against a sore back after gardening?",
    "How do I word a kind reminder to a friend who owes me money?",
    "What is a fair way to share the housework?",
    "How do I descale a kettle without buying anything?",
    "What do I pack for three rainy days in the hills?",
    "How do I cook rice without a lid?",
    "Why does my screen door squeak?",
    "How much water does a tomato plant need?",
    "How do I fold a fitted sheet?",
    "What is a good first board game for four people?",
    "How do I thank a nurse?",
    "怎样让米饭更松软？",
    "第一次养猫需要准备什么？",
    "怎样给老人设置新手机？",
    "下雨天周末可以做什么？",
)
"""As many as a round of the drill has. The last four are in Chinese."""


@dataclass(frozen=True)
class TeamSite:
    address: str
    store: Store

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {"address": self.address, "password": PASSWORD, "questions": QUESTIONS}


@contextmanager
def serve_team(folder: Path) -> Iterator[TeamSite]:
    """Serve until the context ends."""
    settings = Settings(data_dir=folder, comparison_rate=0, login_attempts=0, rate_limit_per_minute=0)
    register_job_kinds()
    with Store.open(settings) as store:
        owner = store.people.owner().id
        store.passwords.set(owner, PASSWORD, actor=owner)
        pool = EnginePool.from_open_models([fake_served_model("fake-model", FakeEngine(two_answers()))])
        with live(create_app(settings, store, pool)) as address:
            yield TeamSite(address, store)


def two_answers() -> Callable[[Any, str], str]:
    """A script that gives steps when a question is asked for the first time, a vague sentence the second time, and so on."""
    asked: Counter[str] = Counter()

    def answer(_: Any, prompt: str) -> str:
        question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        asked[question] += 1
        number = QUESTIONS.index(question) + 1 if question in QUESTIONS else 0
        chinese = not question.isascii()
        if asked[question] % 2 == 0:
            return "这要看情况。" * (number % 2 + 1) if chinese else "That **depends** on many things, as is so often the case."
        if chinese:
            return "可以按三步来：\n\n1. **先看**手头有什么。\n2. 从最简单的做法开始。\n3. 效果不好再换一种。"
        return "Three steps:\n\n1. **Look** at what you have.\n2. Begin with the simplest thing.\n3. If it fails, try another."

    return answer


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder, serve_team(Path(folder)) as running:
        print(running.facts, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
