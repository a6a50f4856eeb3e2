"""`yearling cycle --demo`: a whole cycle on a fresh installation of its own, with keys of its own and nothing of yours.

The champion drafts answers to everyday requests, a program turns them into answers that meet constraints, the model learns them,
and the exams, the gate, a shortened canary and the signatures are those of every cycle. The rules differ in their numbers only:
fewer cases and a canary for one person, because the demo has minutes where a release has hours.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from yearling.cli.console import err
from yearling.config import Settings
from yearling.errors import Conflict
from yearling.files.atomic import atomic_write_text
from yearling.files.sync import make_directory
from yearling.loop import CycleOptions, is_worker_running

if TYPE_CHECKING:
    from yearling.store import Store

DEMO_FOLDER = "demo"
_MARKER = "this-is-a-demo"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSize:
    """How much a demo does."""

    practice_tasks: int
    exam_cases: int
    canary_prompts: int


SHORT = DemoSize(practice_tasks=400, exam_cases=150, canary_prompts=30)
LONG = DemoSize(practice_tasks=1500, exam_cases=541, canary_prompts=60)

_RULES = """# The rules of the demo: those of every installation with fewer cases, and a canary for one person.
version = 1

[[rule]]
id = "instructions"
version = 1
kind = "exam"
role = "target"
exam = "constraints"
min_cases = {cases}
requires = ["parity"]

[[rule]]
id = "forgetting"
version = 1
kind = "forgetting"
exam = "constraints"
budget = 0.05
min_cases = {cases}

[[rule]]
id = "answers"
version = 1
kind = "floor"
exam = "constraints"
statistic = "answered"
min = 0.98
min_cases = {cases}

[[rule]]
id = "incidents"
version = 1
kind = "incidents"

[[rule]]
id = "kl"
version = 1
kind = "kl"
max = 0.5
min_tokens = 300

[[rule]]
id = "parity"
version = 1
kind = "parity"
max = 0.2
min_tokens = 300

[canary]
alpha = 0.05
power = 0.8
champion_rate = 0.01
seen_rates = [0.60, 0.50, 0.40]
"""


def demo_options(size: DemoSize) -> CycleOptions:
    """What the cycle of a demo learns."""
    return CycleOptions(source="practice", practice_tasks=size.practice_tasks, why="The demo.")


def prepare_demo(settings: Settings, size: DemoSize) -> Settings:
    """A fresh installation inside the data folder, with the default model, keys and rules of its own. Removes an earlier demo.

    Pulls the default model if it is missing. Raises Conflict if a demo runs now or the folder holds something else, and what
    pulling raises.
    """
    from yearling.cli.progress import pull_with_status
    from yearling.cli.releases.draft_lookup import find_draft
    from yearling.models import ModelLibrary
    from yearling.release import ReleaseAuthority
    from yearling.store import Store

    folder = settings.data_dir / DEMO_FOLDER
    demo = settings.model_copy(update={"data_dir": folder, "database_url": ""})
    model = pull_with_status(ModelLibrary(settings.models_dir), settings.model)
    if folder.exists():
        if not (folder / _MARKER).exists():
            raise Conflict(f"{folder} is no demo.", advice="Move it away.")
        if is_worker_running(demo):
            raise Conflict("A demo runs now.", advice=f"`yearling cycle status --data-dir {folder}` shows how far it is.")
        shutil.rmtree(folder)
    make_directory(folder)
    (folder / _MARKER).touch()
    make_directory(demo.models_dir)
    atomic_write_text(folder / "config.toml", f"model = {json.dumps(model.name)}\n")
    os.symlink(model.folder.resolve(), demo.models_dir / model.name)
    with Store.open(demo) as store:
        first = find_draft(demo, store, model.name, created_by="yearling", title="the model of the demo")
        rules = _RULES.format(cases=size.exam_cases)
        ReleaseAuthority(folder / "release", store).bootstrap(first, store.people.owner(), rules=rules)
        with err.status("The model answers some questions, which the canary asks again later"):
            asyncio.run(_fill_history(demo, store, size.canary_prompts))
    return demo


async def _fill_history(settings: Settings, store: Store, count: int) -> None:
    """Let the champion answer requests, as if somebody had asked: a canary replays stored prompts."""
    from yearling.chat import Assistant, TurnRequest
    from yearling.cli.assistant_runtime import open_pool
    from yearling.clock import new_id
    from yearling.loop import practice_requests
    from yearling.store import SampleWriter

    pool, writer = open_pool(settings, store), SampleWriter(store)
    assistant = Assistant(pool, writer, store.people.owner().id)
    try:
        for number, request in enumerate(practice_requests(20 * count, 1)[:count]):
            messages = ({"role": "user", "content": request},)
            sampling = {"temperature": 0.0, "max_tokens": 64, "seed": number}
            turn = await assistant.prepare(TurnRequest(request_id=new_id(), messages=messages, sampling=sampling))
            await turn.answer()
    finally:
        await assistant.close()
        await writer.close()
        await pool.close()
