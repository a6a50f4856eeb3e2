"""Constraints on marks and letters: commas, brackets, bold, hashtags, upper and lower case."""

from __future__ import annotations

import re

from yearling.tasks.environments.instructions.constraint_kind import ConstraintKind, ConstraintParameters, constraint
from yearling.tasks.environments.instructions.parsed_answer import ParsedAnswer, split_words

_QUOTED = re.compile(r"\"([^\"\n]+)\"|“([^”\n]+)”|「([^」\n]+)」")
_BRACKETED = re.compile(r"\([^()\n]*[^\W_][^()\n]*\)|（[^（）\n]*[^\W_][^（）\n]*）")
_BOLD = re.compile(r"\*\*[^*\s](?:[^*\n]*[^*\s])?\*\*")
_HASHTAG = re.compile(r"(?<!\w)#([^\W_]\w*)")


@constraint(
    "no_commas",
    en=("Do not use any commas.", "Write without commas.", "Your answer must not contain a comma."),
    zh=("不要使用逗号。", "全文不能出现逗号。", "写的时候不用逗号。"),
    claims="commas",
    avoids="fixed copy_first",
)
def _no_commas(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return not any(char in answer.text for char in ",，､﹐")


@constraint(
    "lowercase",
    en=("Write everything in lowercase letters.", "Do not use any capital letters.", "Use only small letters."),
    zh=("请用英语回答，并且全部用小写字母。", "用英文作答，不得出现大写字母。", "用英语写，只用小写字母。"),
    claims="case language",
    in_english=True,
    tags="english",
)
def _lowercase(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    letters = [char for char in answer.text if char.isalpha()]
    return len(letters) >= 4 and answer.han_share == 0.0 and answer.text == answer.text.lower()


@constraint(
    "uppercase",
    en=("Write everything in capital letters.", "USE ONLY CAPITAL LETTERS.", "Your whole answer must be in uppercase."),
    zh=("请用英语回答，并且全部用大写字母。", "用英文作答，不得出现小写字母。", "用英语写，只用大写字母。"),
    claims="case language",
    in_english=True,
    tags="english",
)
def _uppercase(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    letters = [char for char in answer.text if char.isalpha()]
    return len(letters) >= 4 and answer.han_share == 0.0 and answer.text == answer.text.upper()


@constraint(
    "brackets",
    en=(
        "Include at least {n} remarks in parentheses.",
        "Use parentheses (like these) {n} times or more.",
        "Put something in round brackets at least {n} times.",
    ),
    zh=("至少用{n}次括号补充说明。", "文中要有{n}处或更多圆括号里的内容。", "至少{n}次把内容放在（圆括号）里。"),
    draw=lambda source, language, level: {"n": level + 1},
    avoids="fixed",
)
def _brackets(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(_BRACKETED.findall(answer.text)) >= parameters["n"])


@constraint(
    "bold",
    en=(
        "Mark at least {n} words or phrases in bold, like **this**.",
        "Use **bold** at least {n} times.",
        "Put {n} or more words between double asterisks.",
    ),
    zh=("至少把{n}个词或短语加粗，写成**这样**。", "用**加粗**至少{n}次。", "至少{n}处放在两对星号之间，如**词语**。"),
    draw=lambda source, language, level: {"n": level + 1},
    avoids="fixed",
)
def _bold(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(len(_BOLD.findall(answer.text)) >= parameters["n"])


@constraint(
    "hashtags",
    en=(
        "Include exactly {n} different hashtags, like #this.",
        "Add {n} hashtags, all different, no more and no fewer.",
        "Your answer must contain {n} different words with a # in front.",
    ),
    zh=(
        "正好加上{n}个不同的话题标签，例如 #话题。",
        "加{n}个互不相同的 #标签，前面空一格，不多也不少。",
        "回答里要有{n}个不同的词前面带 # 号。",
    ),
    draw=lambda source, language, level: {"n": level + 1},
    avoids="fixed comma_list",
)
def _hashtags(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    hashtags = [tag.casefold() for tag in _HASHTAG.findall(answer.text)]
    return bool(len(hashtags) == len(set(hashtags)) == parameters["n"])


@constraint(
    "quotation",
    en=(
        "Include something in double quotation marks that someone says.",
        "Use double quotes around at least two words.",
        "Quote someone: put at least two words in double quotation marks.",
    ),
    zh=("文中要有一句放在双引号里的话。", "用双引号引用一句别人说的话。", "至少有两个字放在双引号里。"),
    claims="quotes",
    avoids="fixed",
)
def _quotation(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    quotations = ["".join(parts) for parts in _QUOTED.findall(answer.text)]
    return any(len(split_words(part, answer.language)) >= 2 for part in quotations)


MARK_CONSTRAINTS: tuple[ConstraintKind, ...] = (
    _no_commas,
    _lowercase,
    _uppercase,
    _brackets,
    _bold,
    _hashtags,
    _quotation,
)
