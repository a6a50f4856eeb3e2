"""The reasoning-gym environment. Importing the library takes seconds, so these tests are slow."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from yearling.errors import BadInput, NotFound, Unsupported
from yearling.tasks import exam_seed, open_environment, train_seed
from yearling.tasks.environments.reasoning_gym_tasks import TEXT_COMPARED_DATASETS, UNSAFE_DATASETS, parse_answer

pytestmark = pytest.mark.slow

ONE_DIGIT = {"min_terms": 2, "max_terms": 2, "min_digits": 1, "max_digits": 1}
CHEAP = [
    "chain_sum",
    "letter_counting",
    "syllogism",
    "gcd",
    "products",
    "aiw",
    "leg_counting",
    "gsm_symbolic",
    "list_functions",
    "pool_matrix",
]


def assistant_turn(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def question(task: Any) -> str:
    return str(task.messages[-1]["content"])


@pytest.mark.parametrize("name", CHEAP)
def test_right_answer_is_rewarded_and_garbage_is_not(name: str) -> None:
    environment = open_environment(f"reasoning_gym:{name}")
    for index in range(20):
        task = environment.task(train_seed(index))
        assert environment.reward(task, assistant_turn(task.data["answer"])) == 1.0
        assert environment.reward(task, assistant_turn(f"Answer: {task.data['answer']}.")) == 1.0
        assert environment.reward(task, assistant_turn(f"Let me think.\n<answer> {task.data['answer']} </answer>")) == 1.0
        for garbage in ("", " ", "<answer></answer>", "I do not know", "9" * 9000, "\x00\ud800"):
            assert environment.reward(task, assistant_turn(garbage)) == 0.0


def test_full_stop_of_the_right_answer_is_required() -> None:
    environment = open_environment("reasoning_gym:emoji_mystery")
    task = next(task for task in map(environment.task, map(train_seed, range(50))) if task.data["answer"].endswith("."))
    assert environment.reward(task, assistant_turn(f"Answer: {task.data['answer']}")) == 1.0
    assert environment.reward(task, assistant_turn(task.data["answer"].removesuffix("."))) == 0.0


def test_partial_credit_of_the_library_earns_nothing() -> None:
    from reasoning_gym import create_dataset

    dataset = create_dataset("letter_counting", seed=1, size=1)
    assert 0 < dataset.score_answer(f"well, {dataset[0]['answer']}", dataset[0]) < 1
    environment = open_environment("reasoning_gym:letter_counting")
    task = environment.task(train_seed(0))
    assert environment.reward(task, assistant_turn(f"well, {task.data['answer']}")) == 0.0


def test_our_seeds_do_not_overlap_as_those_of_the_library_do() -> None:
    from reasoning_gym import create_dataset

    settings = {"min_digits": 4, "max_digits": 8}
    first, second = (
        {item["question"] for item in create_dataset("chain_sum", seed=seed, size=500, **settings)} for seed in (7, 8)
    )
    assert len(first & second) >= 499
    environment = open_environment("reasoning_gym:chain_sum", settings=settings)
    train_questions = {question(environment.task(train_seed(index))) for index in range(500)}
    exam_questions = {question(environment.task(exam_seed(index))) for index in range(500)}
    assert train_questions.isdisjoint(exam_questions)
    assert len(train_questions) > 495


def test_few_questions_are_divided_between_training_and_exams() -> None:
    environment = open_environment("reasoning_gym:chain_sum", settings=ONE_DIGIT)
    train_questions = {question(environment.task(train_seed(index))) for index in range(1500)}
    exam_questions = {question(environment.task(exam_seed(index))) for index in range(500)}
    assert train_questions.isdisjoint(exam_questions)
    assert len(train_questions | exam_questions) > 190  # of 200 possible sums and differences of two digits


def test_examples_are_fixed_and_never_the_task_itself() -> None:
    environment = open_environment("reasoning_gym:chain_sum", settings=ONE_DIGIT, shots=5)
    tasks = [environment.task(seed(index)) for seed in (train_seed, exam_seed) for index in range(200)]
    examples = {tuple(message["content"] for message in task.messages[:-1]) for task in tasks}
    assert len(examples) == 1
    (example,) = examples
    assert len(example) == 10
    assert not {question(task) for task in tasks} & {text.removeprefix("Give only the final answer.\n") for text in example}
    for message, following in pairwise(tasks[0].messages):
        assert {message["role"], following["role"]} == {"user", "assistant"}
    assert len(open_environment("reasoning_gym:chain_sum", shots=0).task(train_seed(0)).messages) == 1


def test_no_answer_is_evaluated_as_a_program() -> None:
    import reasoning_gym

    evaluation_pattern = re.compile(r"\b(eval|exec|sympify|(?<!def )parse_expr)\((user_)?answer\b")
    name_pattern = re.compile(r'^DATASET_NAME = "(\w+)"', re.MULTILINE)
    sources = [path.read_text(encoding="utf-8") for path in Path(reasoning_gym.__file__).parent.rglob("*.py")]
    evaluating = {name for source in sources if evaluation_pattern.search(source) for name in name_pattern.findall(source)}
    # number_sorting evaluates the right answer only. Check the grader of any other name that appears here.
    assert evaluating | {"number_sorting"} == TEXT_COMPARED_DATASETS | UNSAFE_DATASETS
    with pytest.raises(Unsupported, match="executed"):
        open_environment("reasoning_gym:countdown")
    environment = open_environment("reasoning_gym:spiral_matrix")
    task = environment.task(train_seed(0))
    assert environment.reward(task, assistant_turn("[" + ", ".join(task.data["answer"].split()) + "]")) == 0.0
    assert environment.reward(task, assistant_turn(task.data["answer"])) == 1.0


def test_failing_grader_means_an_unsolved_task(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    from reasoning_gym.arithmetic.chain_sum import ChainSumDataset

    def raise_error(*_: object) -> float:
        raise RuntimeError("no")

    environment = open_environment("reasoning_gym:chain_sum")
    task = environment.task(train_seed(0))
    monkeypatch.setattr(ChainSumDataset, "score_answer", raise_error)
    assert environment.reward(task, assistant_turn("12345678")) == 0.0
    assert "grader of chain_sum failed" in caplog.text


def test_errors_name_the_mistake() -> None:
    with pytest.raises(NotFound, match="chain_sum"):
        open_environment("reasoning_gym:nonesuch")
    with pytest.raises(BadInput, match="rejects"):
        open_environment("reasoning_gym:chain_sum", settings={"min_terms": 9, "max_terms": 2})
    with pytest.raises(BadInput, match="rejects"):
        open_environment("reasoning_gym:chain_sum", settings={"nonesuch": 1})
    with pytest.raises(BadInput, match="seed"):
        open_environment("reasoning_gym:chain_sum", settings={"seed": 1})
    with pytest.raises(BadInput, match="NAME"):
        open_environment("reasoning_gym")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("5", "5"),
        (" 5.\n\nBecause", "5"),
        ("A: 5", "5"),
        ("answer : Yes", "Yes"),
        ("<answer>a</answer> no <answer>\nb</answer>", "b"),
        ("Apples", "Apples"),
        ("", ""),
    ],
)
def test_parse_answer(text: str, answer: str) -> None:
    assert parse_answer(text) == answer


def test_parse_answer_of_several_lines() -> None:
    assert parse_answer("1 2\n3 4\n", is_multiline=True) == "1 2\n3 4"
