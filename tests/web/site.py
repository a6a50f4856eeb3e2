"""A server with a fake engine and something on every page, for the browser tests and for looking at the page.

    python -m tests.web.site        # prints its address; stop with Ctrl-C

What the engine says depends on the question: `showcase` gets everything that markdown can, `slow` an answer that takes its time,
`long` one that is cut off, `broken` one that fails, `endless` one that goes on and on, `thinks` one that takes long to begin,
`vary` another one each time, `wide table` a table, `Say slowly: ` what follows. Anything else is repeated.
"""

from __future__ import annotations

import itertools
import logging
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from tests.api.live import live
from tests.feedback.people import simulate_events
from tests.store.examples import make_graded, make_sample
from yearling.api import create_app
from yearling.cli.jobs.kinds import register_job_kinds
from yearling.config import Settings
from yearling.feedback import FeedbackLog, event_to_dict
from yearling.inference import EnginePool, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.records import Role
from yearling.store import SpecOutput, Store, Triage, make_text
from yearling.training import RunFolder

SHOWCASE = """\
Here is **everything at once**, with a [link](https://example.org/a?b=c) and `inline code`.

## A list

1. First
   - nested, with *emphasis*
   - [x] done
   - [ ] not done
2. Second

| City | People | Share |
|---|--:|:--|
| Zürich | 447,082 | 5 % |
| 北京 | 21,893,095 | 1.6 % |

```python
def greet(name: str) -> str:
    # says hello
    return f"Hello, {name}!" if name else "Hello"
```

The roots are $x = \\frac{-b \\pm \\sqrt{b^2-4ac}}{2a}$, it costs $5 to $10, and

$$\\int_0^\\infty e^{-x^2}\\,dx = \\frac{\\sqrt{\\pi}}{2}$$

```mermaid
flowchart LR
  A[Question] --> B{Known?}
  B -->|yes| C[Answer]
  B -->|no| D[Say so]
```

> A quotation, at the end.
"""

WIDE_TABLE = """\
| Method | What it does | When it helps | Complexity | Remark |
|---|---|---|---|---|
| Divide and conquer | Splits a problem into independent parts and joins the results | Sorting | n log n | recursive |
| Dynamic programming | Keeps the results of subproblems so that none is solved twice | Paths | polynomial | memory |
"""

MANY_MODELS = ("tiny-135m-instruct-q4_1", *(f"hosted/family-{number}b-chat" for number in range(2, 9)))
"""Models beside `fake-model` and `other/model`, more than a menu lists."""

_versions = itertools.count(1)

STATEMENTS = (
    "Cycle lanes make streets safer for everyone, drivers included.",
    "A city should never take away parking without offering a replacement.",
    "The answer leaves out what the measure costs.",
    "Numbers are from 2019; the newest count is from last year.",
    "Both proposals would need a vote of the council.",
)


def scripted_reply(_: Any, prompt: str) -> str | ScriptedAnswer:
    question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
    if "showcase" in question:
        return SHOWCASE
    if "endless" in question:
        return ScriptedAnswer("and again " * 6000, delay_s=0.02)
    if "thinks" in question:
        return ScriptedAnswer("At last.", first_delay_s=20)
    if "vary" in question:
        return f"Version {next(_versions)}"
    if "wide table" in question:
        return WIDE_TABLE
    if "slow" in question:
        return ScriptedAnswer("One word after the other, so that one can watch it and stop it. " * 12, delay_s=0.02)
    if "long" in question:
        return ScriptedAnswer("This answer has no end. ", end_of_turn=False)
    if "broken" in question:
        return ScriptedAnswer("It begins well", fail_after=8)
    if question.startswith("Say slowly: "):
        return ScriptedAnswer(question.removeprefix("Say slowly: "), delay_s=0.005)
    return f"You said: {question}"


def rephrased_reply(_: Any, prompt: str) -> str:
    question = prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]
    if "vary" in question:
        return f"Version {next(_versions)}"
    return f"In other words: {question}"


QUESTIONS = (
    "Should the city build more cycle lanes?",
    "May the city take parking away?",
    "What would the measure cost?",
    "How many people cycle to work?",
    "Who decides about the proposals?",
)
"""The questions that `STATEMENTS` answer."""


@dataclass(frozen=True)
class Site:
    """A running server and its data. `long_chat` is the id of a chat with `long_messages` messages."""

    address: str
    store: Store
    long_chat: str
    run: RunFolder
    first_try: RunFolder | None = None
    """A finished run of one step."""


@contextmanager
def serve_site(folder: Path, *, filled: bool = True, long_messages: int = 2000, **settings: Any) -> Iterator[Site]:
    """Serve the page with example data until the context ends."""
    configuration = Settings(data_dir=folder, comparison_rate=0, comparison_models=("other/model",), **settings)
    with Store.open(configuration) as store:
        pool = EnginePool.from_open_models(
            [
                fake_served_model("fake-model", FakeEngine(scripted_reply, context_tokens=200_000)),
                fake_served_model("other/model", FakeEngine(rephrased_reply, context_tokens=200_000)),
                *(fake_served_model(name, FakeEngine(rephrased_reply, context_tokens=200_000)) for name in MANY_MODELS),
            ]
        )
        register_job_kinds()
        app = create_app(configuration, store, pool)
        chat = fill_chats(store, long_messages) if filled else ""
        run = fill_run(configuration)
        first_try = fill_first_try(configuration)
        if filled:
            fill_learning(store)
        with live(app) as address:
            yield Site(address, store, chat, run, first_try)


def fill_chats(store: Store, long_messages: int) -> str:
    owner = store.people.owner().id
    for title in ("Rainy Sunday with two children", "读取 CSV 文件", "Why is the sky blue?"):
        conversation = store.conversations.create(owner, title)
        question = store.conversations.add_message(conversation.id, person_id=owner, role="user", content=title)
        store.conversations.add_message(
            conversation.id, person_id=owner, role="assistant", content=f"About “{title}”.", parent_id=question.id
        )
    conversation = store.conversations.create(owner, "A very long chat")
    parent = None
    for number in range(long_messages):
        role: Role = "assistant" if number % 2 else "user"
        words = (
            f"Answer {number}: **bold**, `code` and a list:\n\n- one\n- two\n\n" + "Some more words of an answer. " * (number % 9)
            if number % 2
            else f"Question {number}? " + "With detail. " * (number % 5)
        )
        parent = store.conversations.add_message(conversation.id, person_id=owner, role=role, content=words, parent_id=parent).id
    return conversation.id


def fill_learning(store: Store) -> None:
    """A community that judged, notes, exams with a gate, and a run of the spec."""
    owner, ben = store.people.owner().id, store.people.add("Ben").id
    log = FeedbackLog(store)
    store.events.append([event_to_dict(event) for event in simulate_events(num_raters=40, num_items=30)])
    with log.index.consistent_view() as ledger:
        items = sorted({event.item for event in ledger.events() if hasattr(event, "item")})
    store.texts.add(make_text(item, "statement", statement_about(at)) for at, item in enumerate(items))
    for item in items[::2]:
        log.rate(owner, item, 1.0)
    sample = make_sample(ben, output_text="An answer of Ben's.")
    store.samples.add(sample)
    log.rate(ben, sample.id, 1.0)
    for text in ("The figures are from **2019**.\n\nSources:\n- <https://example.org/count>", "Missing: what it costs."):
        log.add_note(ben, sample.id, text)
    log.add_note(owner, items[0], "Only true for new lanes.\n\nSources:\n- <https://example.org/study>")
    fill_exams(store)
    triages: tuple[Triage, ...] = ("bug", "passed", "passed", "policy", "gap")
    outputs = [
        SpecOutput(
            clause="calibrated",
            case_id=f"truth.idk.00{number}",
            twin=0,
            draw=0,
            messages=({"role": "user", "content": "Who won the village fair of Obernau in 1648?"},),
            output_text="Hans Muster, of course.",
            label="confident_wrong",
            evidence="There is no record of it.",
            score=-2.0,
            triage=triage,
        )
        for number, triage in enumerate(triages)
    ]
    run = store.spec_runs.add(
        outputs,
        model="fake-model",
        model_hash="ab" * 32,
        spec_version="1",
        cases_hash="cd" * 32,
        settings={"n": 1},
        summary={"triage": {"bug": 1, "passed": 2, "policy": 1, "gap": 1}},
    )
    store.spec_runs.add_dispute(store.spec_runs.list_outputs(run.id)[0].id, ben, "gap", "Nobody could know this.")


def statement_about(number: int) -> dict[str, Any]:
    """A public answer with its question; every fifth repeats the words of another, but for its number."""
    question = {"role": "user", "content": QUESTIONS[number % len(QUESTIONS)]}
    return {"messages": [question], "text": f"{STATEMENTS[number % len(STATEMENTS)]} (Version {number // len(STATEMENTS) + 1}.)"}


def fill_exams(store: Store) -> None:
    for model, model_hash, value in (("champion", "11" * 32, 0.41), ("challenger", "22" * 32, 0.47)):
        run = store.exams.start_run(
            exam="ifeval",
            exam_hash="ef" * 32,
            subject="assistant",
            model=model,
            model_hash=model_hash,
            grader="match@1",
            seed=0,
            num_samples=12,
            settings={"title": "IFEval", "card": {"may_gate": True}},
        )
        store.exams.add_samples(
            run.id,
            [
                make_graded(
                    f"case {number}",
                    score=float(number % 3 == 0),
                    output_text=f"Answer {number}",
                    messages=({"role": "user", "content": "Write two sentences."},),
                    part="a",
                    verdict={"score": 0.0, "detail": {}},
                )
                for number in range(12)
            ],
        )
        measure = {"name": "score", "value": value, "low": value - 0.04, "high": value + 0.04, "n": 541, "higher_is_better": True}
        store.exams.finish_run(run.id, {"measures": [measure]})

    def finding(exam: str, role: str, decision: str, low: float, value: float, high: float) -> dict[str, Any]:
        paired = {"n": 541, "wins": 62, "losses": 31, "difference": value, "test": "exact McNemar"}
        return {
            "exam": exam,
            "role": role,
            "decision": decision,
            "p_adjusted": 0.0009,
            "why": "The whole interval is above zero." if decision == "ALLOW" else "It may be worse by the margin.",
            "paired": paired,
            "interval": {"value": value, "low": low, "high": high},
        }

    findings = [
        finding("ifeval", "target", "ALLOW", 0.024, 0.057, 0.09),
        finding("truthfulqa", "guard", "ALLOW", -0.02, 0.004, 0.028),
        finding("xstest", "guard", "INCONCLUSIVE", -0.06, -0.012, 0.036),
    ]
    store.gates.record(
        champion="11" * 32,
        challenger="22" * 32,
        decision="INCONCLUSIVE",
        body={"decision": "INCONCLUSIVE", "rule": {"margin": 0.04, "alpha": 0.05}, "findings": findings},
        actor="owner",
    )


def fill_run(settings: Settings) -> RunFolder:
    """A run with forty steps of sixty."""
    run = RunFolder.create(
        settings.runs_dir / "0190a3e0-0000-7000-8000-00000000beef",
        {"learning_rate": 1e-4},
        method="dpo",
        seed=7,
        total_steps=60,
        model={"name": "fake-model", "sha256": "ab" * 32},
        threads=2,
    )
    for step in range(40):
        fade = math.exp(-step / 14)
        run.append_metrics(step, {"loss": 0.35 + 0.34 * fade, "accuracy": 0.86 - 0.36 * fade, "tokens_per_s": 900.0 + step % 7})
    return run


def fill_first_try(settings: Settings) -> RunFolder:
    """A finished run of one step, as people make first: it proves nothing."""
    run = RunFolder.create(
        settings.runs_dir / "0190a3e0-0000-7000-8000-0000000f1257",
        {"learning_rate": 1e-4},
        method="dpo",
        seed=1,
        total_steps=1,
        model={"name": "fake-model", "sha256": "ab" * 32},
        threads=1,
    )
    run.append_metrics(1, {"loss": 0.693, "kl": 0.0, "grad_norm": 4.2, "margin": 0.0, "accuracy": 0.0, "tokens": 96.0})
    run.write_status("finished", step=1, total_steps=1)
    return run


def hide_request_logs() -> None:
    """Log warnings only: a command prints no line for each request."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))


def wait_for_interrupt() -> None:
    """Wait for Ctrl-C, which ends the process."""
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        sys.exit(0)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, serve_site(Path(folder)) as running:
        print(running.address, flush=True)
        wait_for_interrupt()


if __name__ == "__main__":
    main()
