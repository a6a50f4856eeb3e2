"""The page in Chromium: every page and every kind of feedback, what hostile words do, what the wire carries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.store.examples import make_graded
from tests.web.accounts import serve_accounts
from tests.web.conftest import Suite, list_suite_tests, require_browser
from tests.web.corrections_site import serve_corrections
from tests.web.cycle_site import serve_cycles
from tests.web.documents_site import serve_documents
from tests.web.models_site import serve_models
from tests.web.payloads import DIAGRAMS, FORMULAS, HTML, PAYLOADS
from tests.web.rating_site import serve_rating_site
from tests.web.release_site import serve_releases
from tests.web.site import Site, serve_site
from tests.web.story_site import serve_story
from tests.web.stream_drill import drill
from tests.web.team_site import serve_team
from yearling.feedback import FeedbackLog
from yearling.models import LocalModel, ModelLibrary
from yearling.tasks import Demonstration, freeze_lesson_set
from yearling.training import ArtefactStores, RunSetup, create_run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1000)]

SUITES = ("pages", "chat", "feedback", "rounds", "first_minutes", "figures", "learning")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    require_browser()
    with serve_site(tmp_path_factory.mktemp("site"), long_messages=398) as found:
        yield found


@pytest.fixture(scope="module")
def results(running: Site, run_suite: Suite) -> Any:
    kept: dict[str, dict[str, dict[str, Any]]] = {}
    owner = running.store.people.owner().id
    chat = next(entry for entry in running.store.history.list_page(owner).entries if entry.conversation.title.startswith("Rainy"))
    facts = {
        "address": running.address,
        "long": running.long_chat,
        "chat": chat.conversation.id,
        "run": running.run.folder.name,
        "first_try": running.first_try.folder.name if running.first_try else "",
    }

    def of(suite: str, name: str) -> dict[str, Any]:
        if suite not in kept:
            kept[suite] = run_suite(suite, facts)
        return kept[suite][name]

    return of


@pytest.mark.parametrize(("suite", "name"), [(suite, name) for suite in SUITES for name in list_suite_tests(suite)])
def test_in_the_browser(results: Any, suite: str, name: str) -> None:
    found = results(suite, name)
    print(found["output"], found["seconds"], "s")
    assert found["failure"] is None, found["failure"]


SITES: dict[str, Callable[[Path], AbstractContextManager[Any]]] = {
    "accounts": serve_accounts,
    "offers": serve_accounts,
    "corrections": serve_corrections,
    "cycle": serve_cycles,
    "documents": serve_documents,
    "lookup": serve_documents,
    "rating": serve_rating_site,
    "team": serve_team,
    "releases": serve_releases,
    "release_quorum": partial(serve_releases, several=True),
}
"""Suites with a site of their own."""

DRILLS = ("team", "release_quorum")


@pytest.fixture(scope="module")
def site_results(tmp_path_factory: pytest.TempPathFactory, run_suite: Suite) -> Any:
    kept: dict[str, dict[str, dict[str, Any]]] = {}

    def of(suite: str, name: str) -> dict[str, Any]:
        if suite not in kept:
            with SITES[suite](tmp_path_factory.mktemp(suite)) as found:
                kept[suite] = run_suite(suite, found.facts)
        return kept[suite][name]

    return of


@pytest.mark.parametrize(
    ("suite", "name"),
    [
        pytest.param(suite, name, marks=pytest.mark.drill if suite in DRILLS else ())
        for suite in SITES
        for name in list_suite_tests(suite)
    ],
)
def test_on_a_site_of_its_own_in_the_browser(site_results: Any, suite: str, name: str) -> None:
    found = site_results(suite, name)
    print(found["output"], found["seconds"], "s")
    assert found["failure"] is None, found["failure"]


@pytest.fixture(scope="module")
def models_page(tmp_path_factory: pytest.TempPathFactory, run_suite: Suite, default_model: LocalModel) -> Any:
    with serve_models(tmp_path_factory.mktemp("models"), default_model) as facts:
        return run_suite("models", facts)


@pytest.mark.parametrize("name", list_suite_tests("models"))
def test_the_models_page_in_the_browser(models_page: Any, name: str) -> None:
    print(models_page[name]["seconds"], "s")
    assert models_page[name]["failure"] is None, models_page[name]["failure"]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, run_suite: Suite, model_library: ModelLibrary) -> Any:
    require_browser()
    with serve_story(tmp_path_factory.mktemp("story"), model_library) as found:
        return run_suite("story", found.facts)


@pytest.mark.parametrize("name", list_suite_tests("story"))
def test_the_whole_story_in_the_browser(story: Any, name: str) -> None:
    print(story[name]["output"], story[name]["seconds"], "s")
    assert story[name]["failure"] is None, story[name]["failure"]


def test_a_real_run_is_stopped_and_resumed(tmp_path: Path, run_suite: Suite, default_model: LocalModel) -> None:
    """Trains the default model, far longer than the test takes; the page begins, stops, and goes on with it."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / default_model.name).symlink_to(default_model.folder)
    demonstrations = [Demonstration(str(n), ({"role": "user", "content": f"Say {n}."},), f"{n}, gladly.") for n in range(40)]
    lessons = freeze_lesson_set(demonstrations, tmp_path / "lessons")
    setup = RunSetup(model=default_model.name, rank=2, lessons=lessons.hash)
    config = {"steps": 2000, "lessons_per_step": 1}
    run = create_run(tmp_path / "runs" / "real", "sft", config, setup, ArtefactStores.from_data_dir(tmp_path))
    with serve_site(tmp_path, filled=False) as running:
        try:
            found = run_suite("runs", {"address": running.address, "real_run": run.folder.name})["stop_and_resume"]
        finally:
            if run.read_status()["state"] == "running":
                run.request_stop()
    print(found["output"], found["seconds"], "s")
    assert found["failure"] is None, found["failure"]


def store_payloads(running: Site) -> dict[str, Any]:
    """Payloads wherever words can stand."""
    store = running.store
    owner, ben = store.people.owner().id, store.people.add("<img src=x onerror=pwned(90)>").id

    def chat(title: str, texts: list[str]) -> str:
        conversation, parent = store.conversations.create(owner, title), None
        for number, text in enumerate(texts):
            parent = store.conversations.add_message(
                conversation.id,
                person_id=owner,
                role="assistant" if number % 2 else "user",
                content=text,
                parent_id=parent,
            ).id
        return conversation.id

    payloads = chat("Payloads", [text for payload in PAYLOADS for text in (payload, payload)])
    drawings = [f"Formula\n\n$${one}$$\n\nand ${one}$ and \\({one}\\)" for one in FORMULAS]
    drawings += [f"```mermaid\n{one}\n```" for one in DIAGRAMS]
    drawings += ["$x^2$\n\n```mermaid\nflowchart LR\n  A --> B\n```"]
    figures = chat("Figures", [text for one in drawings for text in ("Draw", one)])
    for payload in PAYLOADS:
        store.conversations.create(owner, payload[:200])
    for payload in HTML[:12]:
        store.folders.create(owner, payload[:100])
        store.memories.add(owner, payload[:500])
    log = FeedbackLog(store)
    with log.index.consistent_view() as ledger:
        item = next(event.item for event in ledger.events() if hasattr(event, "item"))
    for payload in PAYLOADS:
        log.add_note(ben, item, f"{payload}\n\nSources:\n- <{payload}>\n- [source]({payload})")
    exam = store.exams.start_run(
        exam="hostile",
        exam_hash="ef" * 32,
        subject="engine",
        model="payloads",
        model_hash="ab" * 32,
        grader="match@1",
        seed=0,
        num_samples=10,
        settings={"title": HTML[0]},
    )
    asked = [({"role": "user", "content": payload},) for payload in HTML[:10]]
    store.exams.add_samples(
        exam.id,
        [make_graded(f"case {n}", score=0.0, messages=messages, output_text=HTML[n]) for n, messages in enumerate(asked)],
    )
    store.exams.finish_run(exam.id, {"measures": []})
    share = store.shares.create(payloads, person_id=owner)
    return {"address": running.address, "payloads": payloads, "drawn": figures, "share": share.id, "count": len(PAYLOADS)}


@pytest.fixture(scope="module")
def hostile(running: Site, run_suite: Suite) -> Any:
    return run_suite("xss", store_payloads(running))


@pytest.fixture(scope="module")
def diagrams(run_suite: Suite) -> Any:
    require_browser()
    return run_suite("diagrams", {"address": ""})


@pytest.mark.parametrize("name", list_suite_tests("diagrams"))
def test_the_shipped_diagrams_are_the_publishers(diagrams: Any, name: str) -> None:
    print(diagrams[name]["output"], diagrams[name]["seconds"], "s")
    assert diagrams[name]["failure"] is None, diagrams[name]["failure"]


@pytest.mark.parametrize("name", list_suite_tests("xss"))
def test_nothing_that_anybody_wrote_is_executed(hostile: Any, name: str) -> None:
    assert len(PAYLOADS) + len(FORMULAS) + len(DIAGRAMS) >= 60
    print(hostile[name]["seconds"], "s")
    assert hostile[name]["failure"] is None, hostile[name]["failure"]


def test_streams_survive_refreshes_and_broken_connections(tmp_path: Path) -> None:
    """A few rounds of what `python -m tests.web.stream_drill 50` shows."""
    require_browser()
    done = drill(3, tmp_path, seed=1)
    assert done.errors == {}
    assert done.cuts >= 3
    assert done.refreshes >= 1
    assert done.resumed >= 2
