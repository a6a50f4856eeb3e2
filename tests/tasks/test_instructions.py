"""Instruction tasks belong to one part, are satisfiable in every combination, and cannot be solved by hollow answers."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tasks.constraint_examples import EXAMPLES
from tests.tasks.satisfy import satisfying
from yearling.errors import BadInput
from yearling.tasks import exam_seed, open_environment, train_seed
from yearling.tasks.environments.instructions.catalogue import CONSTRAINT_KINDS
from yearling.tasks.environments.instructions.constraint_kind import DIFFICULTY_LEVELS, kinds_conflict
from yearling.tasks.environments.instructions.environment import Instructions, requests_for_part
from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, ParsedAnswer
from yearling.tasks.environments.protocol import Task

LANGUAGES: tuple[InstructionLanguage, ...] = ("en", "zh")


def assistant_turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def make_task(kinds: tuple[str, ...], language: InstructionLanguage, level: int, seed: int = 0) -> Task:
    source = random.Random(f"{kinds} {language} {level} {seed}")
    constraints: list[dict[str, Any]] = [
        {"kind": kind, "parameters": CONSTRAINT_KINDS[kind].draw(source, language, level)} for kind in kinds
    ]
    words = [
        CONSTRAINT_KINDS[kind].phrase(language, constraint["parameters"], source)
        for kind, constraint in zip(kinds, constraints, strict=True)
    ]
    text = " ".join([source.choice(requests_for_part(language, "train")), *words])
    return Task("", ({"role": "user", "content": text},), "instructions", {"language": language, "constraints": constraints})


def assert_satisfiable(task: Task) -> None:
    answer = satisfying(task.data["constraints"], task.data["language"])
    verdicts = Instructions().verdicts(task, assistant_turn(answer))
    assert all(verdicts.values()), (verdicts, task, answer)
    assert Instructions().reward(task, assistant_turn(answer)) == 1.0, (task, answer)


@pytest.mark.parametrize("kind", sorted(CONSTRAINT_KINDS))
def test_every_kind_can_be_satisfied(kind: str) -> None:
    for language, level in itertools.product(LANGUAGES, DIFFICULTY_LEVELS):
        assert_satisfiable(make_task((kind,), language, level))


def compatible_pairs(language: InstructionLanguage) -> list[tuple[str, str]]:
    return [
        pair
        for pair in itertools.combinations(CONSTRAINT_KINDS, 2)
        if not kinds_conflict(CONSTRAINT_KINDS[pair[0]], CONSTRAINT_KINDS[pair[1]], language)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_compatible_pair_can_be_satisfied(language: InstructionLanguage) -> None:
    pairs = compatible_pairs(language)
    assert len(pairs) > 800
    for number, pair in enumerate(pairs):
        assert_satisfiable(make_task(pair, language, DIFFICULTY_LEVELS[number % 3]))


@pytest.mark.slow
@pytest.mark.parametrize("language", LANGUAGES)
def test_triples_can_be_satisfied(language: InstructionLanguage) -> None:
    environment = Instructions(language=language, fewest=3, most=3, level=0)
    for index in range(400):
        for seed in (train_seed(index), exam_seed(index)):
            assert_satisfiable(environment.task(seed))


@pytest.mark.parametrize("language", LANGUAGES)
def test_some_pairs_and_triples_can_be_satisfied(language: InstructionLanguage) -> None:
    environment = Instructions(language=language, fewest=3, most=3, level=0)
    for pair in compatible_pairs(language)[::20]:
        assert_satisfiable(make_task(pair, language, 3))
    for index in range(20):
        assert_satisfiable(environment.task(exam_seed(index)))


@pytest.mark.parametrize(("kind", "language", "parameters", "accepted", "rejected"), EXAMPLES, ids=lambda value: str(value)[:20])
def test_checkers_distinguish_answers_from_near_misses(
    kind: str, language: InstructionLanguage, parameters: dict[str, Any], accepted: list[str], rejected: list[str]
) -> None:
    counting_language: InstructionLanguage = "en" if CONSTRAINT_KINDS[kind].in_english else language
    for text in accepted:
        assert CONSTRAINT_KINDS[kind].check(ParsedAnswer(text, counting_language), parameters), text
    for text in rejected:
        assert not CONSTRAINT_KINDS[kind].check(ParsedAnswer(text, counting_language), parameters), text


def test_every_kind_has_examples_and_phrasings_in_both_languages() -> None:
    assert {(kind, language) for kind, language, *_ in EXAMPLES} == set(itertools.product(CONSTRAINT_KINDS, LANGUAGES))
    assert len(CONSTRAINT_KINDS) >= 32
    for kind in CONSTRAINT_KINDS.values():
        assert len(set(kind.en)) >= 3
        assert len(set(kind.zh)) >= 3


MARKS = st.one_of(st.characters(), st.sampled_from(list('\n\n  .!?。！？,，"“”-#*>0123aA雨我的\u200b\ud800')))


@settings(max_examples=15)
@given(
    text=st.lists(MARKS, max_size=60).map("".join), level=st.sampled_from(DIFFICULTY_LEVELS), language=st.sampled_from(LANGUAGES)
)
def test_checkers_never_raise(text: str, level: int, language: InstructionLanguage) -> None:
    source = random.Random(3)
    for kind in CONSTRAINT_KINDS.values():
        for answer in (text, text * 5):
            assert CONSTRAINT_KINDS[kind.id].check(ParsedAnswer(answer, language), kind.draw(source, language, level)) in (
                True,
                False,
            )


@pytest.mark.slow
@settings(max_examples=25)
@given(words=st.lists(st.from_regex(r"[a-z]{1,9}", fullmatch=True), min_size=1, max_size=40), most=st.integers(1, 40))
def test_english_words_are_counted(words: list[str], most: int) -> None:
    for text in (" ".join(words), ", ".join(words).title(), "\n".join(words)):
        assert len(ParsedAnswer(text, "en").words) == len(words)
        assert CONSTRAINT_KINDS["words_at_most"].check(ParsedAnswer(text, "en"), {"n": most}) == (len(words) <= most)


@settings(max_examples=25)
@given(marks=st.lists(st.sampled_from("天地玄黄宇宙洪荒𠀀"), min_size=1, max_size=30), sentences=st.integers(1, 6))
def test_chinese_words_are_characters(marks: list[str], sentences: int) -> None:
    text = "，".join(marks)
    assert len(ParsedAnswer(text, "zh").words) == len(marks)
    assert len(ParsedAnswer(f"{text}。" * sentences, "zh").sentences) == sentences


@pytest.mark.parametrize("text", ["cafe\u0301 noir", "café noir", " café\u200b noir\r\n", "\u2066café noir\u2069"])
def test_text_is_normalised(text: str) -> None:
    assert ParsedAnswer(text, "en").text == "café noir"
    assert CONSTRAINT_KINDS["include_word"].check(ParsedAnswer(text, "en"), {"word": "café"})


HOLLOW = {
    "en": ["", " ", ".", "Lamp.", "lamp " * 30, "ok ok ok ok ok", "Yes.", "the cat sat on " * 20, "a " * 6000],
    "zh": ["", "。", "台灯", "台灯" * 30, "好好好好好好", "好的", "今天下雨" * 20, "雨" * 21000],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_hollow_answers_earn_nothing(language: InstructionLanguage) -> None:
    word = {"en": "lamp", "zh": "台灯"}[language]
    loose_constraints = [
        {"kind": "words_at_most", "parameters": {"n": 10**6}},
        {"kind": "no_digits", "parameters": {}},
        {"kind": "no_commas", "parameters": {}},
    ]
    request = {"en": f'Describe a winter morning. Use the word "{word}".', "zh": f"描写冬天的早晨。请用上“{word}”一词。"}[
        language
    ]
    task = Task(
        "", ({"role": "user", "content": request},), "instructions", {"language": language, "constraints": loose_constraints}
    )
    reward = Instructions().reward
    for hollow in [*HOLLOW[language], request, f"{request} {request}"]:
        assert all(Instructions().verdicts(task, assistant_turn(hollow)).values())
        assert reward(task, assistant_turn(hollow)) == 0.0, hollow[:40]
    decent_answer = {"en": "Snow lies on the roof and a lamp still burns.", "zh": "屋顶积雪。窗边台灯还亮着。"}[language]
    assert reward(task, assistant_turn(decent_answer)) == 1.0
    assert reward(task, []) == 0.0


def test_training_never_uses_held_out_kinds_or_requests() -> None:
    for language in LANGUAGES:
        environment = Instructions(language=language, fewest=1, most=3, level=0)
        train_tasks = [environment.task(train_seed(index)) for index in range(250)]
        exam_tasks = [environment.task(exam_seed(index)) for index in range(250)]
        assert not any(
            CONSTRAINT_KINDS[constraint["kind"]].held_out for task in train_tasks for constraint in task.data["constraints"]
        )
        assert {task.data["request"] for task in train_tasks}.isdisjoint(task.data["request"] for task in exam_tasks)
        exam_kinds = {constraint["kind"] for task in exam_tasks for constraint in task.data["constraints"]}
        assert {kind.id for kind in CONSTRAINT_KINDS.values() if kind.held_out} <= exam_kinds
        assert (
            len(requests_for_part(language, "train")) + len(requests_for_part(language, "exam"))
            >= {"en": 150, "zh": 80}[language]
        )
        assert all(1 <= len(task.data["constraints"]) <= 3 for task in train_tasks)
    with pytest.raises(BadInput, match="exams only"):
        Instructions(kinds="held_out").task(train_seed(0))
    assert CONSTRAINT_KINDS[Instructions(kinds="held_out").task(exam_seed(0)).data["constraints"][0]["kind"]].held_out


@pytest.mark.parametrize(
    "settings_out_of_range",
    [
        {"language": "fr"},
        {"fewest": 0},
        {"fewest": 3, "most": 2},
        {"most": 4},
        {"level": 4},
        {"kinds": "nonesuch"},
        {"kinds": []},
    ],
)
def test_settings_out_of_range_are_rejected(settings_out_of_range: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        open_environment("instructions", **settings_out_of_range)


def test_stored_task_is_graded_alike() -> None:
    task = Instructions(language="both", most=3).task(train_seed(11))
    stored = Task(task.key, task.messages, task.environment, json.loads(json.dumps(task.data)))
    answer = satisfying(task.data["constraints"], task.data["language"])
    assert open_environment(stored.environment).reward(stored, assistant_turn(answer)) == 1.0
