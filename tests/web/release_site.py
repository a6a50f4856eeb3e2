"""A server that releases models: an installed model as Release 0, a trained adapter, and an exam of both.

python -m tests.web.release_site          # prints its address; stop with Ctrl-C
python -m tests.web.release_site several  # with three people who hold keys and passwords
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.api.live import live
from tests.api.release.releasing import PASSPHRASE, open_pool
from tests.models.published import record_only_adapter
from tests.release.installed_models import install_model
from tests.store.examples import make_graded
from tests.web.site import hide_request_logs, wait_for_interrupt
from yearling.api import ReleaseService, create_app
from yearling.config import Settings
from yearling.inference import FakeEngine, ScriptedAnswer
from yearling.models import AdapterLibrary
from yearling.store import Store

PASSWORD = "a pass phrase for everybody here"
BASE = "first"
QUESTIONS = {
    "What is the capital of France?": ("Lyon.", "Paris.", 0.0, 1.0),
    "How many legs has a spider?": ("Six.", "Eight.", 0.0, 1.0),
    "Who wrote Faust?": ("Goethe.", "Schiller.", 1.0, 0.0),
    "What is two and two?": ("Four.", "Four.", 1.0, 1.0),
}

MERGED_FROM = [
    {"installation": "i1", "name": "North", "adapter": "ab" * 32, "log_entries": 3, "log_head": "cd" * 32}
    | {"judgements": ["j1", "j2"], "runs": ["r1"]},
    {"installation": "i2", "name": "South", "adapter": "ef" * 32, "log_entries": 1, "log_head": "01" * 32}
    | {"judgements": ["j3"], "runs": ["r2"]},
]
"""Where the trained adapter comes from: it was merged."""


@dataclass(frozen=True)
class ReleaseSite:
    address: str
    store: Store
    adapter: str
    """The name under which the trained adapter is served."""

    @property
    def facts(self) -> dict[str, Any]:
        """What a suite needs."""
        return {"address": self.address, "password": PASSWORD, "passphrase": PASSPHRASE, "adapter": self.adapter}


@contextmanager
def serve_releases(folder: Path, *, several: bool = False) -> Iterator[ReleaseSite]:
    """Serve until the context ends. With `several`, Ann, Ben and the owner have accounts; nobody but the owner has a key yet."""
    settings = Settings(data_dir=folder, model=BASE, comparison_rate=0, login_attempts=0, rate_limit_per_minute=0)
    with Store.open(settings) as store:
        owner = store.people.owner()
        if several:
            store.passwords.set(owner.id, PASSWORD, actor=owner.id)
            for name in ("Ann", "Ben"):
                person = store.people.add(name, "maintainer")
                store.passwords.set(person.id, PASSWORD, actor=owner.id)
        for name in (BASE, "second"):
            install_model(settings.models_dir, name)
        adapter = record_only_adapter(
            AdapterLibrary(settings.adapters_dir),
            b"learnt",
            base=BASE,
            base_sha256=hashlib.sha256(BASE.encode()).hexdigest(),
            merged_from=MERGED_FROM,
        )
        name = f"{BASE}+{adapter.sha256[:12]}"
        hashes = {each: hashlib.sha256(each.encode()).hexdigest() for each in (BASE, "second")}
        engines = {each: FakeEngine(answer_as(each), model_hash=sha256) for each, sha256 in hashes.items()}
        engines[name] = FakeEngine(answer_as("the trained one"), model_hash=hashes[BASE])
        _examine(store, hashes[BASE], f"{hashes[BASE]}+{adapter.sha256}")
        service = ReleaseService(settings)
        pool = open_pool(settings, engines, may_load=service.may_load, is_stopped=service.is_stopped)
        pool._open_models[name].served = replace(pool._open_models[name].served, adapter_hash=adapter.sha256)
        app = create_app(settings, store, pool, releases=service)
        start_app = app.router.lifespan_context

        @asynccontextmanager
        async def lifespan(application: Any) -> AsyncGenerator[Any, None]:
            await service.start(store, pool)
            try:
                async with start_app(application) as state:
                    yield state
            finally:
                await service.close()

        app.router.lifespan_context = lifespan
        with live(app) as address:
            yield ReleaseSite(address, store, name)


def answer_as(name: str) -> Any:
    """A script that says which model speaks; `endless` goes on until it is stopped."""

    def answer(_: Any, prompt: str) -> Any:
        question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
        if question.startswith("endless"):
            return ScriptedAnswer("again and " * 3000, delay_s=0.02)
        return f"I am {name}, and you said: {question}"

    return answer


def _examine(store: Store, champion: str, challenger: str) -> None:
    """Both models took the same exam."""
    for arm, model_hash in enumerate((champion, challenger)):
        run = store.exams.start_run(
            exam="facts",
            exam_hash="ef" * 32,
            subject="assistant",
            model=BASE,
            model_hash=model_hash,
            grader="match@1",
            seed=0,
            num_samples=len(QUESTIONS),
            settings={"title": "Facts of school", "card": {"may_gate": True}},
        )
        rows = [
            make_graded(
                question,
                messages=({"role": "user", "content": question},),
                output_text=answers[arm],
                score=answers[2 + arm],
                model_hash=model_hash,
                part="",
            )
            for question, answers in QUESTIONS.items()
        ]
        store.exams.add_samples(run.id, rows)
        store.exams.finish_run(run.id, {"measures": [], "cases": len(rows)})


def main() -> None:
    hide_request_logs()
    with tempfile.TemporaryDirectory() as folder, serve_releases(Path(folder), several="several" in sys.argv[1:]) as running:
        print(running.facts, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
