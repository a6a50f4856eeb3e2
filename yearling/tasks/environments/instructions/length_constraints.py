"""Constraints on the length of an answer: words, sentences, paragraphs, lines."""

from __future__ import annotations

import random
import re

from yearling.tasks.environments.instructions.constraint_kind import (
    ConstraintKind,
    ConstraintParameters,
    DrawnParameters,
    ParameterDraw,
    constraint,
)
from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, ParsedAnswer, split_words

_CLAUSE_END = re.compile(r"[,.!?;:，。！？；：、…\n]")


def _draw_n_from(*levels: tuple[int, ...]) -> ParameterDraw:
    """Return a function that draws `n` from the values of a level; `levels` are in order of difficulty."""

    def draw(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
        return {"n": source.choice(levels[level - 1])}

    return draw


def _draw_range(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
    low = source.choice((10, 20, 30, 40))
    return {"low": low, "high": low + {1: 30, 2: 20, 3: 10}[level]}


@constraint(
    "words_at_most",
    en=(
        "Use at most {n} words.",
        "Your answer must not be longer than {n} words.",
        "Keep it to {n} words or fewer.",
        "Stay within {n} words.",
    ),
    zh=("回答不要超过{n}个字。", "字数控制在{n}个字以内。", "最多写{n}个字。", "请用不超过{n}个汉字作答。"),
    draw=_draw_n_from((60, 70, 80), (40, 45, 50), (25, 30, 35)),
    claims="size",
)
def _words_at_most(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(answer.words) <= parameters["n"])


@constraint(
    "words_at_least",
    en=("Use at least {n} words.", "Write no fewer than {n} words.", "Your answer should have {n} words or more."),
    zh=("至少写{n}个字。", "回答不少于{n}个字。", "字数要达到{n}个字或更多。"),
    draw=_draw_n_from((20, 25, 30), (40, 50, 60), (70, 80, 90)),
    claims="size",
    avoids="sentences short",
)
def _words_at_least(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(answer.words) >= parameters["n"])


@constraint(
    "words_between",
    en=(
        "Write between {low} and {high} words.",
        "The length must be from {low} to {high} words.",
        "Aim for no less than {low} and no more than {high} words.",
    ),
    zh=("写{low}到{high}个字。", "字数要在{low}和{high}之间。", "长度不少于{low}个字，也不多于{high}个字。"),
    draw=_draw_range,
    claims="size",
    avoids="sentences short",
    held_out=True,
)
def _words_between(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(parameters["low"] <= len(answer.words) <= parameters["high"])


@constraint(
    "sentences_exactly",
    en=(
        "Answer in exactly {n} sentences.",
        "Write {n} sentences, no more and no fewer.",
        "Your answer must consist of {n} sentences.",
    ),
    zh=("请正好用{n}句话回答。", "只写{n}句话，不多也不少。", "回答由{n}句话组成。"),
    draw=_draw_n_from((2,), (3,), (4, 5)),
    claims="sentences",
    avoids="layout line",
)
def _sentences_exactly(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(answer.sentences) == parameters["n"])


@constraint(
    "sentences_at_most",
    en=("Use no more than {n} sentences.", "Write at most {n} sentences.", "Limit yourself to {n} sentences."),
    zh=("最多写{n}句话。", "不要超过{n}句话。", "用{n}句以内的话回答。"),
    draw=_draw_n_from((4,), (3,), (2,)),
    claims="sentences",
    avoids="layout line",
)
def _sentences_at_most(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(1 <= len(answer.sentences) <= parameters["n"])


@constraint(
    "short_sentences",
    en=(
        "No sentence may have more than {n} words.",
        "Keep every sentence to {n} words or fewer.",
        "Use short sentences only: {n} words each at most.",
    ),
    zh=("每句话不超过{n}个字。", "句子要短，每句最多{n}个字。", "任何一句话都不能多于{n}个字。"),
    draw=_draw_n_from((16, 18), (12, 14), (9, 10)),
    claims="sentences",
    avoids="layout line fixed literal",
    held_out=True,
)
def _short_sentences(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    counts = [len(split_words(sentence, answer.language)) for sentence in answer.sentences]
    return len(counts) >= 2 and max(counts) <= parameters["n"]


@constraint(
    "paragraphs_exactly",
    en=(
        "Write exactly {n} paragraphs with an empty line between them.",
        "Divide the answer into {n} paragraphs, separated by a blank line.",
        "Give {n} paragraphs; leave one empty line after each but the last.",
    ),
    zh=("正好写{n}段，段与段之间空一行。", "把回答分成{n}个段落，用空行隔开。", "请写{n}段文字，各段之间留一个空行。"),
    draw=_draw_n_from((2,), (3,), (4, 5)),
    claims="layout",
    avoids="line",
)
def _paragraphs_exactly(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    wordy = [part for part in answer.paragraphs if len(split_words(part, answer.language)) >= 2]
    return bool(len(wordy) == len(answer.paragraphs) == parameters["n"])


@constraint(
    "lines_exactly",
    en=(
        "Write exactly {n} lines of text.",
        "The answer must have {n} lines, each on its own.",
        "Put your answer on {n} separate lines.",
    ),
    zh=("正好写{n}行文字。", "回答要有{n}行，每行单独成行。", "把回答写成{n}行。"),
    draw=_draw_n_from((2,), (3, 4), (5, 6)),
    claims="layout",
    avoids="line",
)
def _lines_exactly(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(answer.lines) == parameters["n"])


@constraint(
    "short_words",
    en=(
        "Use no word of more than {n} letters.",
        "Every word must have {n} letters or fewer.",
        "Only use words that are at most {n} letters long.",
    ),
    zh=(
        "每两个标点之间不超过{n}个字。",
        "每个短句（标点之间的部分）最多{n}个字。",
        "多用标点，标点之间不能多于{n}个字。",
    ),
    draw=lambda source, language, level: {"n": ({1: 10, 2: 8, 3: 6} if language == "en" else {1: 18, 2: 14, 3: 10})[level]},
    tags="wording",
    avoids="literal fixed no_commas english",
    held_out=True,
)
def _short_words(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    if answer.language == "en":
        word_parts = [re.sub(r"[^\w]|_", "", part) for word in answer.words for part in re.split(r"[-‑]", word)]
        return bool(max((len(word_part) for word_part in word_parts), default=0) <= parameters["n"])
    clauses = [split_words(clause, "zh") for clause in _CLAUSE_END.split(answer.text)]
    return bool(max(len(clause) for clause in clauses) <= parameters["n"])


@constraint(
    "one_line",
    en=("Put everything on a single line.", "Do not use any line breaks.", "Write your answer as one line of text."),
    zh=("全部写在一行里。", "不要换行。", "请把回答写成一行文字。"),
    claims="layout",
    avoids="line",
)
def _one_line(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return len(answer.lines) == 1


LENGTH_CONSTRAINTS: tuple[ConstraintKind, ...] = (
    _words_at_most,
    _words_at_least,
    _words_between,
    _sentences_exactly,
    _sentences_at_most,
    _short_sentences,
    _paragraphs_exactly,
    _lines_exactly,
    _short_words,
    _one_line,
)
