"""Constraints on the layout of an answer: lists, parts, JSON."""

from __future__ import annotations

import json
import random
import re
from itertools import pairwise

from yearling.tasks.environments.instructions.constraint_kind import (
    ConstraintKind,
    ConstraintParameters,
    DrawnParameters,
    constraint,
)
from yearling.tasks.environments.instructions.parsed_answer import (
    InstructionLanguage,
    ParsedAnswer,
    count_occurrences,
    split_words,
)
from yearling.tasks.environments.instructions.word_constraints import TARGET_WORDS

_JSON_KEYS: dict[InstructionLanguage, tuple[str, ...]] = {
    "en": ("answer", "reason", "example", "topic", "advice", "summary"),
    "zh": ("回答", "原因", "例子", "主题", "建议", "总结"),
}
_COUNTS_BY_LEVEL = {1: (2,), 2: (3, 4), 3: (5, 6)}
_TRIMMED_CHARS = " \"'“”‘’「」『』*_#>-—.,!?。，！？"


def _draw_count(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
    return {"n": source.choice(_COUNTS_BY_LEVEL[level])}


@constraint(
    "bullets",
    en=(
        'Give a list of exactly {n} bullet points, each on its own line starting with "- ".',
        'Answer with {n} bullet points that start with "- ".',
        'Your answer must contain exactly {n} lines that start with "- ".',
    ),
    zh=(
        "用正好{n}个要点回答，每个要点单独一行，以“- ”开头。",
        "列出{n}条，每条以“- ”开头并单独成行。",
        "回答中要有正好{n}行以“- ”开头。",
    ),
    draw=_draw_count,
    claims="layout",
    tags="items",
    avoids="signature",
)
def _bullets(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(answer.bullets) == parameters["n"])


@constraint(
    "numbered",
    en=(
        "Give a numbered list of exactly {n} items, each on its own line.",
        "Answer with a list numbered from 1 to {n}.",
        'Write {n} numbered points, one per line, like "1. ...".',
    ),
    zh=("用编号列表回答，正好{n}条，每条单独一行。", "从1到{n}编号列出。", "写{n}条带编号的内容，每条一行，例如“1. ……”。"),
    draw=_draw_count,
    claims="layout",
    tags="items numbering",
    avoids="fixed",
)
def _numbered(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return [number for number, _ in answer.numbered] == list(range(1, parameters["n"] + 1))


@constraint(
    "comma_list",
    en=(
        "Answer with nothing but {n} items separated by commas, on one line.",
        "Give exactly {n} words or phrases, separated by commas, and nothing else.",
        "Your whole answer is one line: {n} items with commas between them.",
    ),
    zh=(
        "只写{n}项，用逗号或顿号隔开，写在一行里。",
        "只给出{n}个词或短语，用逗号或顿号分隔，不写别的。",
        "整个回答就是一行：{n}项，中间用逗号或顿号。",
    ),
    draw=lambda source, language, level: {"n": {1: 3, 2: 5, 3: 7}[level]},
    claims="layout commas last first opening sentences",
    tags="short fixed",
    avoids="line literal has_numbers questions exclamations",
)
def _comma_list(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    items = [item.strip(_TRIMMED_CHARS) for item in re.split("[,，、]", answer.text)]
    wanted = [bool(item) and len(split_words(item, answer.language)) <= 8 for item in items]
    return len(answer.lines) == 1 and len(items) == parameters["n"] == len(set(items)) and all(wanted)


@constraint(
    "json_object",
    en=(
        "Answer with a JSON object that has exactly the keys {listed}, whose values are text.",
        "Give only valid JSON: one object with the keys {listed} and text as values.",
        "Your answer is a JSON object; its keys are {listed}, and every value is a string.",
    ),
    zh=(
        "只用一个JSON对象回答，键正好是{listed}，值为文字。",
        "输出合法的JSON：一个对象，键为{listed}，每个值都是字符串。",
        "回答是一个JSON对象，只有{listed}这些键，值都是文字。",
    ),
    draw=lambda source, language, level: _draw_json_keys(source, language, level),
    claims="layout first last commas opening quotes",
    tags="fixed literal wording",
    avoids="line case repetition size sentences literal",
)
def _json_object(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    body = re.sub(r"^```(?:json)?\s*\n(.*)\n\s*```$", r"\1", answer.text, flags=re.DOTALL)
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(values, dict) or list(values) != parameters["keys"]:
        return False
    return all(isinstance(value, str) and split_words(value, answer.language) for value in values.values())


def _draw_json_keys(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
    keys = source.sample(_JSON_KEYS[language], min(level + 1, 3))
    return {
        "keys": keys,
        "listed": ", ".join(f'"{key}"' for key in keys) if language == "en" else "、".join(f'"{key}"' for key in keys),
    }


@constraint(
    "sections",
    en=(
        'Divide your answer into {n} parts that begin with "Part 1:", "Part 2:" and so on, each on a new line.',
        'Write {n} parts and start each on its own line with "Part", its number and a colon.',
        'Use the headings "Part 1:" to "Part {n}:", each at the start of a line.',
    ),
    zh=(
        "把回答分成{n}部分，每部分另起一行，以“第1部分：”“第2部分：”等开头。",
        "写{n}个部分，每个部分都在行首写“第几部分：”，用阿拉伯数字。",
        "用“第1部分：”到“第{n}部分：”作为各部分的开头，每个都在行首。",
    ),
    draw=lambda source, language, level: {"n": level + 1},
    claims="layout first",
    tags="numbering literal wording line",
    avoids="fixed",
)
def _sections(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    lead = r"part (\d+)\s*:" if answer.language == "en" else r"第\s*(\d+)\s*部分\s*[:：]"
    part_numbers = [match[1] for line in answer.lines if (match := re.match(lead, line.strip("*# ").casefold()))]
    return part_numbers == [str(number) for number in range(1, parameters["n"] + 1)]


@constraint(
    "two_versions",
    en=(
        'Give two different answers, separated by a line with only "===".',
        'Write two versions of your answer with a line "===" between them.',
        'Answer twice in different words; put "===" alone on a line in between.',
    ),
    zh=(
        "给出两个不同的回答，中间用只有“===”的一行隔开。",
        "写两个版本，两者之间单独一行写“===”。",
        "用不同的话回答两次，中间一行只写“===”。",
    ),
    claims="layout",
    avoids="line fixed",
)
def _two_versions(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    parts = [part.strip() for part in re.split(r"^\s*===\s*$", answer.text, flags=re.MULTILINE)]
    return len(parts) == 2 and parts[0] != parts[1] and all(len(split_words(part, answer.language)) >= 3 for part in parts)


@constraint(
    "quote_block",
    en=(
        'Start every line with "> ".',
        'Each line of your answer must begin with the character ">".',
        'Format your answer as a quote: every line begins with "> ".',
    ),
    zh=("每一行都以“> ”开头。", "回答的每行行首都要有“>”这个符号。", "写成引用格式：每行以“> ”开头。"),
    claims="first layout last",
    avoids="fixed line",
    held_out=True,
)
def _quote_block(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return all(line.startswith((">", "＞")) and len(line) > 1 for line in answer.lines)


@constraint(
    "item_word",
    en=(
        'Write a bulleted list with "- " in which every point contains the word "{word}"; give at least two points.',
        'Answer in two or more points starting with "- ", and use "{word}" in each of them.',
        'Every bullet point ("- ", at least two) has to mention "{word}".',
    ),
    zh=(
        "用“- ”列出至少两个要点，每个要点里都要有“{word}”。",
        "写两条或更多以“- ”开头的要点，每条都用上“{word}”。",
        "至少两行以“- ”开头，并且每行都提到“{word}”。",
    ),
    draw=lambda source, language, level: {"word": source.choice(TARGET_WORDS[language])},
    claims="layout repetition",
    tags="items literal wording",
    avoids="fixed signature",
)
def _item_word(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    counts = [count_occurrences(item, parameters["word"], answer.language) for item in answer.bullets]
    return len(counts) >= 2 and all(counts)


@constraint(
    "rising_lines",
    en=(
        "Write at least three lines, each with more words than the line before.",
        "Let every line be longer (in words) than the one above it; write three lines or more.",
        "Three or more lines, and each must have more words than the previous one.",
    ),
    zh=("至少写三行，每行的字数都比上一行多。", "每一行都要比前一行长（按字数），至少三行。", "写三行或更多，字数逐行增加。"),
    claims="layout",
    avoids="line fixed brackets bold quotation hashtags",
)
def _rising_lines(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    counts = [len(split_words(line, answer.language)) for line in answer.lines]
    return len(counts) >= 3 and all(before < after for before, after in pairwise(counts))


LAYOUT_CONSTRAINTS: tuple[ConstraintKind, ...] = (
    _bullets,
    _numbered,
    _comma_list,
    _json_object,
    _sections,
    _two_versions,
    _quote_block,
    _item_word,
    _rising_lines,
)
