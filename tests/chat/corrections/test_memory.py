"""Corrections act on turns: found by the same words or by meaning, shown as an earlier turn, read with the reader."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from tests.chat.helpers import RecordingSink, prompt_of
from yearling.chat import Assistant, CorrectionMemory, TurnRequest
from yearling.chat.corrections import memory as memory_module
from yearling.chat.corrections.gate import SimilarityRule
from yearling.config import Settings
from yearling.errors import NotFound, Unavailable
from yearling.inference import EnginePool, FakeEmbedder, FakeEngine, InputType, fake_served_model
from yearling.store import Correction, Store

MODEL_HASH = "e" * 64
READER = "a" * 64


class WordEmbedder(FakeEmbedder):
    """Embeds a text as the set of its words, whether it is a question or a passage."""

    def __init__(self) -> None:
        super().__init__("words", dimensions=256)
        self.model_hash = MODEL_HASH
        self.texts: list[str] = []
        self.is_down = False
        self._words: dict[str, int] = {}

    async def embed_texts(self, texts: Sequence[str], *, input_type: InputType = "query") -> np.ndarray:
        if self.is_down:
            raise Unavailable("The embedding model stopped.")
        self.texts += texts
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        for row, text in enumerate(texts):
            for word in text.lower().replace("?", "").replace(".", "").split():
                vectors[row, self._words.setdefault(word, len(self._words))] = 1
        lengths = np.sqrt((vectors**2).sum(axis=1, keepdims=True))
        unit: np.ndarray = vectors / lengths
        return unit


class Provider:
    """Provides the embedder and readers, as a pool does."""

    def __init__(self, *, installed: bool = True, reader: str | None = None) -> None:
        self.embedder = WordEmbedder()
        self.installed = installed
        self.reader = reader

    def has_embedder(self) -> bool:
        return self.installed

    async def get_embedder(self) -> WordEmbedder:
        if not self.installed:
            raise NotFound("The model is not installed.")
        return self.embedder

    async def get_reader(self, model_name: str) -> str | None:
        return self.reader


@pytest.fixture(autouse=True)
def _rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = MappingProxyType({MODEL_HASH: SimilarityRule(threshold=0.5)})
    monkeypatch.setattr(memory_module, "gate_rules", lambda: rules)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def _person(store: Store) -> str:
    return store.people.owner().id


def _add(store: Store, question: str, answer: str, **fields: Any) -> str:
    person = fields.pop("person", None) or _person(store)
    fields = {"kind": "correction", "scope": "me", "origin": "page", **fields}
    return store.corrections.add(person, question, answer, **fields).correction.id


async def _ask(
    store: Store, provider: Provider, *questions: str, engine: FakeEngine | None = None, **fields: Any
) -> tuple[list[list[str]], FakeEngine, RecordingSink]:
    """The ids of the corrections that each question used, the engine and the sink."""
    engine, sink = engine or FakeEngine(), RecordingSink()
    memory = CorrectionMemory(store, provider)
    pool = EnginePool.from_open_models([fake_served_model("fake-model", engine)])
    assistant = Assistant(pool, sink, _person(store), corrections=memory)
    used = []
    for question in questions:
        request = TurnRequest(request_id="r", messages=({"role": "user", "content": question},), **fields)
        turn = await assistant.prepare(request)
        await turn.answer()
        used.append([correction.id for correction in turn.corrections])
    await memory.close()
    return used, engine, sink


def test_a_correction_is_found_by_meaning_and_shown_as_an_earlier_turn(store: Store) -> None:
    entry = _add(store, "Who handles invoices?", "Marta handles invoices.")
    provider = Provider()
    used, engine, sink = asyncio.run(_ask(store, provider, "Please, who handles the invoices?", "What is rain?"))
    assert used == [[entry], []]
    prompt = prompt_of(engine, 0)
    assert prompt.index("Who handles invoices?") < prompt.index("Marta handles invoices.") < prompt.index("Please, who")
    assert "Marta" not in prompt_of(engine, 1)
    added = [message for message in sink.samples[0].messages if message.get("source") == "correction"]
    assert [(message["role"], message["correction"]) for message in added] == [("user", entry), ("assistant", entry)]


@pytest.mark.parametrize(("most", "reads"), [(100, ["Ada", "Bob", "Cleo"]), (6, ["Ada", "Bob", "Cleo", "Ada"]), (1, None)])
def test_indexes_in_memory_are_bounded_by_their_entries(
    store: Store, monkeypatch: pytest.MonkeyPatch, most: int, reads: list[str] | None
) -> None:
    people = {store.people.add(name).id: name for name in ("Ada", "Bob", "Cleo")}
    for person, name in people.items():
        for number in range(1 if name == "Cleo" else 2):
            _add(store, f"Question {number}?", "So.", person=person)
    monkeypatch.setattr(memory_module, "_MAX_CACHED_ENTRIES", most)
    list_effective, read = store.corrections.list_effective, []

    def recorded(person_id: str) -> list[Correction]:
        read.append(people[person_id])
        return list_effective(person_id)

    monkeypatch.setattr(store.corrections, "list_effective", recorded)

    async def ask() -> None:
        memory = CorrectionMemory(store, Provider(installed=False))
        ada, bob, cleo = people
        for person in (ada, ada, bob, bob, cleo, bob, ada):
            assert await memory.find("question 0", person), "whoever asks is served, whatever the bound"
        await memory.close()

    asyncio.run(ask())
    assert read == (reads or ["Ada", "Bob", "Cleo", "Bob", "Ada"])


def test_without_the_embedding_model_the_same_words_find_it(store: Store) -> None:
    entry = _add(store, "Who handles invoices?", "Marta handles invoices.")
    used, _, _ = asyncio.run(_ask(store, Provider(installed=False), "who  handles INVOICES", "Please, who handles the invoices?"))
    assert used == [[entry], []]


def test_an_embedding_model_that_fails_leaves_the_answer_alone(store: Store) -> None:
    _add(store, "Who handles invoices?", "Marta handles invoices.")
    provider = Provider()
    provider.embedder.is_down = True
    used, engine, _ = asyncio.run(_ask(store, provider, "Please, who handles the invoices?"))
    assert used == [[]]
    assert len(engine.requests) == 1


def test_a_change_acts_on_the_next_question(store: Store) -> None:
    entry = _add(store, "Who handles invoices?", "Marta handles invoices.")
    provider = Provider()

    async def ask() -> list[str]:
        memory = CorrectionMemory(store, provider)
        answers = []
        for change in (None, {"answer": "Ines handles invoices."}, {"active": False}, {"active": True}):
            if change:
                store.corrections.update(entry, person_id=_person(store), **change)
            found = await memory.find("Please, who handles the invoices?", _person(store))
            answers.append(found[0].answer if found else "")
        store.corrections.delete(entry, person_id=_person(store))
        assert await memory.find("Please, who handles the invoices?", _person(store)) == []
        return answers

    assert asyncio.run(ask()) == ["Marta handles invoices.", "Ines handles invoices.", "", "Ines handles invoices."]


def test_switched_off_the_prompt_is_as_before(store: Store) -> None:
    _, bare, _ = asyncio.run(_ask(store, Provider(), "Who handles invoices?"))
    _add(store, "Who handles invoices?", "Marta handles invoices.")
    provider = Provider(reader=READER)
    _, refused, _ = asyncio.run(_ask(store, provider, "Who handles invoices?", corrections=False))
    store.personal_settings.update(_person(store), {"corrections": False})
    used, switched_off, _ = asyncio.run(_ask(store, provider, "Who handles invoices?"))
    assert used == [[]]
    assert bare.requests[0].prompt_ids == refused.requests[0].prompt_ids == switched_off.requests[0].prompt_ids
    assert switched_off.requests[0].adapter_hash is None


def test_another_persons_correction_does_not_act(store: Store) -> None:
    other = store.people.add("Other").id
    _add(store, "Who handles invoices?", "Marta handles invoices.", person=other)
    used, _, _ = asyncio.run(_ask(store, Provider(), "Who handles invoices?", "Please, who handles the invoices?"))
    assert used == [[], []]


def test_a_turn_embeds_few_entries_and_the_rest_in_the_background(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_BATCH", 5)
    ids = [_add(store, f"Who handles thing{number}?", f"Person{number} does.") for number in range(21)]
    provider = Provider()

    async def ask() -> None:
        memory = CorrectionMemory(store, provider)
        assert await memory.find("so who handles thing7 ?", _person(store)) == []
        assert provider.embedder.texts == ["so who handles thing7 ?"]
        for _ in range(200):
            await asyncio.sleep(0.01)
            found = await memory.find("so who handles thing7 ?", _person(store))
            if found and found[0].id == ids[7]:
                break
        else:
            raise AssertionError("the entries were not embedded")
        await memory.close()

    asyncio.run(ask())
    embedded = [text for text in provider.embedder.texts if not text.startswith("so")]
    assert len(embedded) == len(set(embedded)) == 2 * 21, "each entry is embedded once, in two forms"


def test_the_reader_is_active_only_while_a_correction_acts(store: Store, tmp_path: Path) -> None:
    _add(store, "Who handles invoices?", "Marta handles invoices.")
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(b"reader")

    async def ask() -> tuple[str, FakeEngine, RecordingSink]:
        engine = FakeEngine()
        reader = await engine.load_adapter(adapter)
        _, _, sink = await _ask(store, Provider(reader=reader), "Who handles invoices?", "What is rain?", engine=engine)
        return reader, engine, sink

    reader, engine, sink = asyncio.run(ask())
    assert [request.adapter_hash for request in engine.requests] == [reader, None]
    assert [sample.adapter_hash for sample in sink.samples] == [reader, None]


def test_a_message_that_is_no_question_uses_nothing(store: Store) -> None:
    _add(store, "Who handles invoices?", "Marta handles invoices.")
    used, _, _ = asyncio.run(_ask(store, Provider(), "x" * (memory_module.MAX_QUESTION_CHARS + 1)))
    assert used == [[]]


def test_a_reminder_is_for_the_person_and_a_lesson_for_the_model(store: Store) -> None:
    person = _person(store)
    for kind, question, answer in (
        ("reminder", "when I ask about the budget", "call Ana"),
        ("lesson", "Last time the budget had no travel costs", "Last time the budget had no travel costs"),
    ):
        entry = _add(store, question, answer, kind=kind)
        store.corrections.confirm(entry, person_id=person)
    sure = SimilarityRule(threshold=0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_module, "gate_rules", lambda: {MODEL_HASH: sure})
        used, engine, sink = asyncio.run(_ask(store, Provider(reader=READER), "when I ask about the budget today"))
    assert len(used[0]) == 2
    prompt = prompt_of(engine)
    assert "Last time the budget had no travel costs" in prompt
    assert "call Ana" not in prompt
    assert sink.samples[0].adapter_hash is None, "the reader learnt to read corrections, not lessons"


def test_a_correction_that_does_not_fit_leaves_the_answer_alone(store: Store) -> None:
    _add(store, "Who handles invoices?", "Marta " * 300)
    engine = FakeEngine(context_tokens=700)
    used, engine, _ = asyncio.run(_ask(store, Provider(reader=READER), "Who handles invoices?", engine=engine))
    assert used == [[]]
    assert engine.requests[0].adapter_hash is None


def test_a_reader_that_cannot_be_loaded_leaves_the_answer_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = _add(store, "Who handles invoices?", "Marta handles invoices.")
    provider = Provider()

    async def fail(model_name: str) -> str | None:
        raise Unavailable("The engine refuses the adapter.")

    monkeypatch.setattr(provider, "get_reader", fail)
    used, engine, _ = asyncio.run(_ask(store, provider, "Who handles invoices?"))
    assert used == [[entry]]
    assert engine.requests[0].adapter_hash is None


def test_questions_do_not_wait_one_after_the_other_for_a_model_that_hangs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    _add(store, "Who handles invoices?", "Marta handles invoices.")
    monkeypatch.setattr(memory_module, "_EMBEDDING_TIMEOUT_S", 0.2)
    provider = Provider()

    async def hang() -> WordEmbedder:
        await asyncio.sleep(60)
        raise AssertionError

    monkeypatch.setattr(provider, "get_embedder", hang)

    async def ask() -> float:
        memory = CorrectionMemory(store, provider)
        started = asyncio.get_running_loop().time()
        found = await asyncio.gather(*(memory.find(f"so who handles invoices {n}", _person(store)) for n in range(8)))
        assert found == [[]] * 8
        assert await memory.find("so who handles invoices", _person(store)) == [], "it is not asked again at once"
        duration = asyncio.get_running_loop().time() - started
        await memory.close()
        return duration

    assert asyncio.run(ask()) < 1.0
