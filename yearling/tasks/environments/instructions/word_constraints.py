"""Constraints on the words, numbers, marks and languages in an answer."""

from __future__ import annotations

import random
import re

from yearling.tasks.environments.instructions.constraint_kind import (
    ConstraintKind,
    ConstraintParameters,
    DrawnParameters,
    constraint,
)
from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, ParsedAnswer, count_occurrences

_ENGLISH = """
river stone lamp garden bridge winter pocket music window bread paper forest mirror candle journey island market letter
cloud ladder kitchen silver harbor village basket thunder blanket feather compass lantern orchard pepper ribbon saddle
tunnel velvet whistle anchor button carpet dolphin engine falcon glacier hammer meadow puzzle rocket
"""
_CHINESE = """
河流 石头 台灯 花园 大桥 冬天 口袋 音乐 窗户 面包 纸张 森林 镜子 蜡烛 旅程 小岛 市场 信件 云朵 梯子
厨房 港口 村庄 篮子 雷声 毯子 羽毛 指南针 灯笼 果园 胡椒 丝带 隧道 口哨 船锚 纽扣 地毯 海豚 引擎 冰川
锤子 草地 拼图 火箭 茶杯 雨伞 钥匙 日历
"""
TARGET_WORDS: dict[InstructionLanguage, tuple[str, ...]] = {"en": tuple(_ENGLISH.split()), "zh": tuple(_CHINESE.split())}
"""Words that a request demands. None is so common that it occurs by chance."""

_COMMON_WORDS: dict[InstructionLanguage, dict[int, tuple[str, ...]]] = {
    "en": {
        1: ("very", "really", "because", "however", "also"),
        2: ("can", "you", "it", "or", "that"),
        3: ("is", "and", "to", "of", "a"),
    },
    "zh": {
        1: ("因为", "非常", "但是", "如果", "所以"),
        2: ("可以", "我们", "一个", "不", "也"),
        3: ("是", "和", "有", "在", "了"),
    },
}
"""Words that answers often contain, by level from the less to the more frequent."""

_AVOIDED_CHARS: dict[InstructionLanguage, dict[int, str]] = {
    "en": {1: "jqxz", 2: "kvbw", 3: "pgyc"},
    "zh": {1: "我这不", 2: "在有和", 3: "是的一"},
}
_EMOJI = ("🌟", "🍀", "🎈", "🐢", "🌻", "🚀", "🍎", "🎵")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_FIRST_PERSON_WORDS = {
    "en": ("i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "i'm", "i've", "i'd", "i'll", "we're", "we've", "we'll"),
    "zh": ("我", "咱", "俺"),
}
_STEP_WORDS: dict[InstructionLanguage, tuple[str, ...]] = {"en": ("first", "then", "finally"), "zh": ("首先", "然后", "最后")}


def _draw_word(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
    return {"word": source.choice(TARGET_WORDS[language])}


def _draw_small_count(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
    return {"n": {1: 1, 2: 2, 3: 3}[level]}


@constraint(
    "include_word",
    en=(
        'Include the word "{word}".',
        'Make sure that the word "{word}" appears.',
        'Use the word "{word}" somewhere in your answer.',
    ),
    zh=("回答中要出现“{word}”这个词。", "请用上“{word}”一词。", "文中必须包含“{word}”。"),
    draw=_draw_word,
    tags="wording literal",
)
def _include_word(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return answer.count_word(parameters["word"]) >= 1


@constraint(
    "word_times",
    en=(
        'Use the word "{word}" at least {n} times.',
        'The word "{word}" must appear {n} times or more.',
        'Mention "{word}" no fewer than {n} times.',
    ),
    zh=("“{word}”一词至少出现{n}次。", "至少{n}次提到“{word}”。", "“{word}”这个词要用{n}次或更多。"),
    draw=lambda source, language, level: {**_draw_word(source, language, level), "n": level + 1},
    claims="repetition",
    tags="wording literal",
)
def _word_times(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(answer.count_word(parameters["word"]) >= parameters["n"])


@constraint(
    "words_in_order",
    en=(
        'Use the word "{first}" and, later on, the word "{second}".',
        'Mention "{first}" before you mention "{second}".',
        'The words "{first}" and "{second}" must both appear, in this order.',
    ),
    zh=(
        "先提到“{first}”，后提到“{second}”。",
        "“{first}”要出现在“{second}”之前，两个词都要用。",
        "依次用上“{first}”和“{second}”。",
    ),
    draw=lambda source, language, level: dict(zip(("first", "second"), source.sample(TARGET_WORDS[language], 2), strict=True)),
    tags="wording literal",
    held_out=True,
)
def _words_in_order(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    # The second word must occur, but not before the first occurrence of the first word.
    second = count_occurrences(answer.casefolded, parameters["second"], answer.language)
    text_before = _text_before(answer, parameters["first"])
    return text_before is not None and second > 0 and count_occurrences(text_before, parameters["second"], answer.language) == 0


def _text_before(answer: ParsedAnswer, word: str) -> str | None:
    """Return the text before the first occurrence of a word, or None if the word does not occur."""
    edge = r"(?<![^\W_])", r"(?![^\W_])"
    before, after = edge if answer.language == "en" else ("", "")
    match = re.search(f"{before}{re.escape(word.casefold())}{after}", answer.casefolded)
    return answer.casefolded[: match.start()] if match else None


@constraint(
    "exclude_words",
    en=(
        "Do not use the words {listed}.",
        "Avoid these words entirely: {listed}.",
        "None of the following words may appear: {listed}.",
    ),
    zh=("不要使用下列词语：{listed}。", "回答里不能出现这些词：{listed}。", "避免使用{listed}。"),
    draw=lambda source, language, level: _draw_excluded_words(source, language, level),
    tags="wording",
    avoids="fixed english",
)
def _exclude_words(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return not any(answer.count_word(word) for word in parameters["words"])


def _draw_excluded_words(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
    words = source.sample(_COMMON_WORDS[language][level], 2)
    quoted = [f'"{word}"' if language == "en" else f"“{word}”" for word in words]
    return {"words": words, "listed": (" and " if language == "en" else "和").join(quoted)}


@constraint(
    "avoid_mark",
    en=(
        'Do not use the letter "{mark}" at all.',
        'The letter "{mark}" must not appear anywhere in your answer.',
        'Write without ever using the letter "{mark}".',
    ),
    zh=("全文不能出现“{mark}”字。", "不要使用“{mark}”这个字。", "写的时候避开“{mark}”字。"),
    draw=lambda source, language, level: {"mark": source.choice(_AVOIDED_CHARS[language][level])},
    tags="wording",
    avoids="literal fixed english",
)
def _avoid_mark(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return parameters["mark"] not in answer.casefolded


@constraint(
    "exactly_one_of",
    en=(
        "Use exactly one of these words and neither of the others: {listed}.",
        "Pick one of the words {listed} and use it; leave out the other two.",
        "Only one of {listed} may appear in your answer, and one must.",
    ),
    zh=(
        "下面三个词只用其中一个，另外两个不要出现：{listed}。",
        "从{listed}中选一个词用上，其余两个不用。",
        "{listed}里必须且只能出现一个。",
    ),
    draw=lambda source, language, level: _draw_three_words(source, language),
    tags="wording literal",
    avoids="literal",
    held_out=True,
)
def _exactly_one_of(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return sum(answer.count_word(word) > 0 for word in parameters["words"]) == 1


def _draw_three_words(source: random.Random, language: InstructionLanguage) -> DrawnParameters:
    words = source.sample(TARGET_WORDS[language], 3)
    return {"words": words, "listed": ", ".join(f'"{word}"' for word in words) if language == "en" else "、".join(words)}


@constraint(
    "first_sentence_word",
    en=(
        'Use the word "{word}" in your first sentence.',
        'Your opening sentence must contain "{word}".',
        'The first sentence has to mention "{word}".',
    ),
    zh=("第一句话里要有“{word}”。", "开头第一句必须提到“{word}”。", "在第一句中用上“{word}”这个词。"),
    draw=_draw_word,
    claims="opening",
    tags="wording literal",
    avoids="fixed line",
)
def _first_sentence_word(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    first = answer.sentences[0] if answer.sentences else ""
    return count_occurrences(first, parameters["word"], answer.language) >= 1


@constraint(
    "last_sentence_word",
    en=(
        'Use the word "{word}" in your last sentence.',
        'The final sentence must contain "{word}".',
        'Mention "{word}" in the sentence that ends your answer.',
    ),
    zh=("最后一句话里要有“{word}”。", "结尾一句必须提到“{word}”。", "在最后一句中用上“{word}”这个词。"),
    draw=_draw_word,
    claims="last",
    tags="wording literal",
    avoids="fixed line",
    held_out=True,
)
def _last_sentence_word(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    last = answer.sentences[-1] if answer.sentences else ""
    return count_occurrences(last, parameters["word"], answer.language) >= 1


@constraint(
    "has_numbers",
    en=(
        "Mention at least {n} different numbers, written in digits.",
        "Include {n} or more different numbers as digits.",
        "Your answer needs no fewer than {n} different numbers in digits.",
    ),
    zh=(
        "至少提到{n}个不同的数字，用阿拉伯数字书写。",
        "文中要有{n}个或更多不同的阿拉伯数字。",
        "用阿拉伯数字写出至少{n}个不同的数。",
    ),
    draw=lambda source, language, level: {"n": level + 1},
    claims="digits",
)
def _has_numbers(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    # The numbers of list items do not count.
    body = "\n".join(re.sub(r"^\s*\d{1,3}[.)、．）]", "", line) for line in answer.lines)
    return bool(len(set(_NUMBER.findall(body))) >= parameters["n"])


@constraint(
    "no_digits",
    en=("Do not use any digits.", "Write without the characters 0 to 9.", "Your answer must not contain a single digit."),
    zh=("不要出现任何阿拉伯数字。", "不能使用0到9这些数字。", "全文不含阿拉伯数字。"),
    claims="digits",
    avoids="numbering",
)
def _no_digits(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return not any(char.isdigit() for char in answer.text)


@constraint(
    "the_number",
    en=(
        "Mention the number {value}, in digits.",
        "The number {value} must appear in your answer.",
        "Work the number {value} into your answer.",
    ),
    zh=("提到数字{value}。", "回答里要出现{value}这个数。", "把数字{value}写进回答里。"),
    draw=lambda source, language, level: {"value": str(source.randint(11, 10 ** (level + 1) - 1))},
    claims="digits",
    held_out=True,
)
def _the_number(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return re.search(rf"(?<![\d.,]){parameters['value']}(?!\d|[.,]\d)", answer.text) is not None


@constraint(
    "no_first_person",
    en=(
        'Do not write in the first person: no "I", "me", "my", "we", "us" or "our".',
        'Avoid all first-person words such as "I", "my", "we" and "our".',
        'Never refer to yourself or to "us": no first-person pronouns.',
    ),
    zh=("不要使用第一人称，不能出现“我”或“咱”。", "避免第一人称，不用“我”“我们”“咱们”。", "全文不能出现“我”字和“咱”字。"),
    tags="wording",
    avoids="fixed",
)
def _no_first_person(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    if answer.language == "zh":
        return not any(word in answer.text for word in _FIRST_PERSON_WORDS["zh"])
    return not {word.replace("’", "'") for word in answer.words} & set(_FIRST_PERSON_WORDS["en"])


@constraint(
    "steps_in_words",
    en=(
        'Use the words "first", "then" and "finally", in this order.',
        'Structure your answer with "first", then "then", and last "finally".',
        'The words "first", "then", "finally" must appear one after the other.',
    ),
    zh=("依次使用“首先”“然后”“最后”三个词。", "用“首先”、“然后”、“最后”来组织回答。", "先后出现“首先”“然后”“最后”。"),
    tags="wording literal",
    avoids="same_start",
)
def _steps_in_words(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    words = _STEP_WORDS[answer.language]
    between = r"(?![^\W_]).*?(?<![^\W_])" if answer.language == "en" else ".*?"
    pattern = between.join(re.escape(word) for word in words)
    edges = (r"(?<![^\W_])", r"(?![^\W_])") if answer.language == "en" else ("", "")
    return re.search(f"{edges[0]}{pattern}{edges[1]}", answer.casefolded, re.DOTALL) is not None


@constraint(
    "emoji",
    en=("Include the emoji {mark}.", "Put the emoji {mark} somewhere in your answer.", "Your answer must contain {mark}."),
    zh=("请加上表情符号{mark}。", "回答里要有{mark}这个表情。", "在文中放一个{mark}。"),
    draw=lambda source, language, level: {"mark": source.choice(_EMOJI)},
)
def _emoji(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return parameters["mark"] in answer.text


@constraint(
    "questions",
    en=(
        "Use exactly {n} question marks.",
        "The number of question marks in your answer must be {n}.",
        "Your answer should contain {n} question marks in total, not more and not fewer.",
    ),
    zh=("正好使用{n}个问号。", "全文的问号总数必须是{n}。", "回答里要有{n}个问号，不多也不少。"),
    draw=_draw_small_count,
    claims="questions",
    avoids="json_object",
)
def _questions(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(answer.text.count("?") + answer.text.count("？") == parameters["n"])


@constraint(
    "exclamations",
    en=(
        "Use exactly {n} exclamation marks.",
        "Put {n} exclamation marks in your answer, no more and no fewer.",
        "The number of exclamation marks must be {n}.",
    ),
    zh=("正好使用{n}个感叹号。", "全文要有{n}个感叹号，不多也不少。", "感叹号的数量必须是{n}。"),
    draw=_draw_small_count,
    claims="exclamations",
    avoids="json_object",
)
def _exclamations(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return bool(answer.text.count("!") + answer.text.count("！") == parameters["n"])


@constraint(
    "other_language",
    en=("Answer in Chinese only.", "Write your whole answer in Chinese.", "Reply entirely in Chinese characters."),
    zh=("请只用英语回答。", "整个回答都用英文写。", "用英语作答，不要写汉字。"),
    draw=lambda source, language, level: {"language": "zh" if language == "en" else "en"},
    claims="language case",
    avoids="wording literal fixed size sentences",
)
def _other_language(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    letters = sum(char.isalpha() for char in answer.text)
    return letters >= 4 and (answer.han_share >= 0.8 if parameters["language"] == "zh" else answer.han_share == 0.0)


WORD_CONSTRAINTS: tuple[ConstraintKind, ...] = (
    _include_word,
    _word_times,
    _words_in_order,
    _exclude_words,
    _avoid_mark,
    _exactly_one_of,
    _first_sentence_word,
    _last_sentence_word,
    _has_numbers,
    _no_digits,
    _the_number,
    _no_first_person,
    _steps_in_words,
    _emoji,
    _questions,
    _exclamations,
    _other_language,
)
