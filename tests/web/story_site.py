"""A server of its own process with a tiny real model, an owner and two members, and twenty pairs that nobody has judged yet.

    python -m tests.web.story_site FOLDER     # prints its address; stop with Ctrl-C. FOLDER holds the embedding model

Nothing is faked: the pairs are the model's own answers, the gate of corrections has its embedding model, a cycle runs in a worker
process, and the rules that the owner signed ask for an exam of this installation, which the model can improve on.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.web.site import wait_for_interrupt
from tests.web.story_model import COMPANY_QUESTIONS, HOW_TO, SENTENCES, STEPS, VAGUE, train_story_model
from yearling.api.feedback.round_answering import RoundAnswering
from yearling.cli.assistant_runtime import open_pool
from yearling.cli.releases.draft_lookup import find_draft
from yearling.config import Settings, load_settings
from yearling.feedback import FeedbackLog, create_round
from yearling.models import ModelLibrary
from yearling.release import ReleaseAuthority
from yearling.store import RoundQuestion, Store

ROOT = Path(__file__).parents[2]
PASSWORD = "a pass phrase for everybody here"
MEMBERS = ("Ben", "Cleo")
EMBEDDING_MODEL = "multilingual-e5-small"
NUM_PAIRS = 20
NUM_CASES = 24
RATED, EXAMINED, ASKED = HOW_TO[:NUM_PAIRS], HOW_TO[NUM_PAIRS : NUM_PAIRS + NUM_CASES], HOW_TO[NUM_PAIRS + NUM_CASES]
"""No question of the exam is judged, and what the suite asks in the chat is in neither."""
EXAM = "first-steps"
RULES = f"""
version = 1
[[rule]]
id = "says-what-to-do"
version = 1
kind = "exam"
role = "target"
exam = "{EXAM}"
min_cases = {NUM_CASES}
[[rule]]
id = "answers"
version = 1
kind = "floor"
exam = "{EXAM}"
statistic = "answered"
min = 0.98
min_cases = {NUM_CASES}
[[rule]]
id = "incidents"
version = 1
kind = "incidents"
[canary]
seen_rates = [0.9, 0.8, 0.7]
"""
CONFIG = """
model = "tiny"
engine = "torch"
comparison_rate = 0
login_attempts = 0
rate_limit_per_minute = 0
"""
_START_TIMEOUT_S = 120.0
_MAX_ROUNDS = 10


@dataclass(frozen=True)
class StorySite:
    address: str
    data_dir: Path

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {
            "address": self.address,
            "password": PASSWORD,
            "members": MEMBERS,
            "pairs": NUM_PAIRS,
            "vague": VAGUE,
            "steps": STEPS,
            "asked": ASKED,
            "question": COMPANY_QUESTIONS[0],
            "same_question": COMPANY_QUESTIONS[1],
            "correction": SENTENCES[0],
        }


@contextmanager
def serve_story(folder: Path, library: ModelLibrary) -> Iterator[StorySite]:
    """Serve until the context ends. The embedding model comes from the library, which pulls it if need be."""
    data_dir = folder / "data"
    data_dir.mkdir(mode=0o700)
    (data_dir / "config.toml").write_text(CONFIG, encoding="utf-8")
    settings = load_settings(data_dir=data_dir)
    models = ModelLibrary(settings.models_dir)
    models.import_path(train_story_model(folder), name="tiny", layout="keep", source="pypi:tiny==1#tiny.gguf")
    (settings.models_dir / EMBEDDING_MODEL).symlink_to(library.pull(EMBEDDING_MODEL).folder)
    _write_exam(data_dir / "exams")
    with Store.open(settings) as store:
        owner = store.people.owner()
        store.passwords.set(owner.id, PASSWORD, actor=owner.id)
        for name in MEMBERS:
            member = store.people.add(name)
            store.passwords.set(member.id, PASSWORD, actor=owner.id)
            # Where somebody has corrected something, the server opens the embedding model at its start: no question waits for it.
            store.corrections.add(member.id, "Where is the key?", "By the door.")
        first = find_draft(settings, store, "tiny", created_by=owner.id, title="the model of the first start")
        ReleaseAuthority(data_dir / "release", store).bootstrap(first, owner, rules=RULES)
        asyncio.run(_answer_round(settings, store))
    with _serve(data_dir) as address:
        yield StorySite(address, data_dir)


def _write_exam(folder: Path) -> None:
    """An exam of this installation: whether an answer says what to do first."""
    folder.mkdir()
    cases = [{"key": f"case {number}", "user": question, "contains": ["first"]} for number, question in enumerate(EXAMINED, 1)]
    exam = {"title": "Says what to do first", "sampling": {"temperature": 0, "max_tokens": 32}, "cases": cases}
    (folder / f"{EXAM}.yaml").write_text(json.dumps(exam, indent=1), encoding="utf-8")


class _NobodyElse:
    """Nobody asks while the round is prepared."""

    num_answers = 0
    quiet_s = 1e9

    def on_request(self, callback: Callable[[], None]) -> None:
        """Nobody asks."""


async def _answer_round(settings: Settings, store: Store) -> None:
    """A round whose questions the model answered twice, as a server does. If chance gave an answer twice, all are asked anew."""
    pool, log = open_pool(settings, store), FeedbackLog(store)
    owner = store.people.owner().id
    answering = RoundAnswering(log, pool, _NobodyElse(), owner_id=owner, retry_pause_s=0)
    try:
        for _ in range(_MAX_ROUNDS):
            questions = [RoundQuestion(question=question) for question in RATED]
            made = create_round(store, owner, title="Everyday questions", questions=questions, people_per_pair=3)
            while (work := await asyncio.to_thread(answering.find_work)) is not None:
                await answering.do_work(work)
            if all(pair.state == "ready" for pair in store.rounds.pairs([made.id])):
                return
            store.rounds.delete(made.id, actor=owner)
    finally:
        await answering.close()
        await pool.close()
    raise AssertionError(f"a question got the same answer each time in {_MAX_ROUNDS} rounds")


@contextmanager
def _serve(data_dir: Path) -> Iterator[str]:
    """`yearling serve` in a process of its own. Yields its address."""
    command = [sys.executable, "-m", "yearling", "serve", "--port", "0", "--data-dir", str(data_dir)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("YEARLING_")}
    lines: list[str] = []
    found, addresses = threading.Event(), list[str]()
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as process:

        def read() -> None:
            for line in process.stderr or ():
                lines.append(line)
                if match := re.search(r"http://[\d.]+:\d+", line):
                    addresses.append(match.group())
                    found.set()
            found.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            if not found.wait(_START_TIMEOUT_S) or not addresses:
                raise AssertionError("the server did not start:\n" + "".join(lines))
            yield addresses[0]
        finally:
            process.terminate()
            process.wait(30)
            reader.join(30)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serve_story(Path(folder), ModelLibrary(Path(sys.argv[1]))) as running:
        print(json.dumps(running.facts), flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
