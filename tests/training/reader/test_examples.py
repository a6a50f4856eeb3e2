"""The examples of a reader's steps: repeatable, answers in front of positive ones, never in front of negative ones."""

from __future__ import annotations

from itertools import pairwise

from yearling.training.reader.examples import Messages, StepExamples, examples_of_step
from yearling.training.reader.families import read_reader_texts

TEXTS = read_reader_texts()


def steps(seed: int = 0, count: int = 60) -> list[StepExamples]:
    return [examples_of_step(TEXTS, seed=seed, step=step, num_positives=9, num_negatives=7) for step in range(1, count + 1)]


def front(messages: Messages) -> list[tuple[str, str]]:
    turns = [message for message in messages[:-1] if message["role"] != "system"]
    return [(asked["content"], answer["content"]) for asked, answer in zip(turns[::2], turns[1::2], strict=True)]


def test_seed_and_step_determine_the_examples() -> None:
    assert steps(count=3) == steps(count=3)
    assert steps(seed=1, count=1) != steps(count=1)


def test_every_fact_is_asked_for_once_before_one_is_asked_for_again() -> None:
    answers = [example.answer for step in steps(count=len(TEXTS.facts) // 9) for example in step.positives]
    facts = [next(fact for fact in TEXTS.facts if answer in [each for _, each in fact.entries]) for answer in answers]
    assert len(set(map(id, facts))) == len(answers)


def test_the_answer_of_a_positive_example_stands_in_front_and_contradicts_only_earlier_ones() -> None:
    num_rivals = 0
    for step in steps():
        for example in step.positives:
            turns = front(example.messages)
            place = [answer for _, answer in turns].index(example.answer)
            question = turns[place][0]
            rivals = [index for index, (asked, answer) in enumerate(turns) if asked == question and answer != example.answer]
            assert all(index < place for index in rivals), "the later one holds"
            num_rivals += bool(rivals)
    assert num_rivals > 10


def test_no_fact_in_front_of_a_negative_example_answers_its_question() -> None:
    for step in steps():
        for example in step.negatives:
            question = example.messages[-1]["content"]
            assert example.bare_messages[-1]["content"] == question
            in_front = {turn for turn in front(example.messages) if turn not in TEXTS.chat}
            assert in_front
            facts = [fact for fact in TEXTS.facts if in_front & set(fact.entries)]
            assert not any(question in (*fact.asks, *(asked for asked, _ in fact.entries)) for fact in facts)
            assert not any(turn in front(example.bare_messages) for turn in in_front)


def test_examples_vary() -> None:
    positives = [example for step in steps() for example in step.positives]
    roles = [[message["role"] for message in example.messages] for example in positives]
    shares = {
        "system": sum(each[0] == "system" for each in roles) / len(roles),
        "several turns": sum(each.count("assistant") > 1 for each in roles) / len(roles),
        "careless": sum(example.messages[-1]["content"].islower() for example in positives) / len(positives),
        "the very words": sum(example.messages[-1]["content"] in dict(front(example.messages)) for example in positives)
        / len(positives),
    }
    assert all(0.03 < share < 0.8 for share in shares.values()), shares
    assert all(roles_a != "assistant" or roles_b == "user" for each in roles for roles_a, roles_b in pairwise(each))
