"""Constraints on the beginning and the end of an answer."""

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

_OPENINGS: dict[InstructionLanguage, tuple[str, ...]] = {
    "en": ("Well", "Sure", "Imagine", "Today", "Honestly", "Often", "Once", "Perhaps"),
    "zh": ("其实", "当然", "今天", "想象", "通常", "有时", "从前", "也许"),
}
_ENDINGS: dict[InstructionLanguage, tuple[str, ...]] = {
    "en": ("That is all.", "Have a nice day!", "I hope this helps.", "Thank you for reading.", "The end."),
    "zh": ("就是这样。", "祝你愉快！", "希望对你有帮助。", "谢谢阅读。", "完。"),
}
_NAMES: dict[InstructionLanguage, tuple[str, ...]] = {
    "en": ("Nora", "Oscar", "Mabel", "Felix", "Greta", "Hugo"),
    "zh": ("小林", "阿明", "老周", "小雨", "阿芳", "大刘"),
}
_SENTENCES: dict[InstructionLanguage, tuple[str, ...]] = {
    "en": ("Here is what I think.", "This is my answer.", "Let me put it simply.", "Good question, thank you."),
    "zh": ("我的想法如下。", "这是我的回答。", "让我简单说说。", "好问题，谢谢。"),
}
_QUOTES = {('"', '"'), ("“", "”"), ("「", "」"), ("『", "』"), ("«", "»")}


def _draw_from(name: str, pool: dict[InstructionLanguage, tuple[str, ...]]) -> ParameterDraw:
    def draw(source: random.Random, language: InstructionLanguage, level: int) -> DrawnParameters:
        return {name: source.choice(pool[language])}

    return draw


@constraint(
    "start_word",
    en=('Begin your answer with the word "{word}".', 'The first word must be "{word}".', 'Start with "{word}".'),
    zh=("以“{word}”开头。", "回答的开头必须是“{word}”。", "请用“{word}”两个字开始。"),
    draw=_draw_from("word", _OPENINGS),
    claims="first",
    tags="wording literal",
    avoids="fixed quoted",
)
def _start_word(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    word = parameters["word"].casefold()
    return split_words(answer.opening, "en")[:1] == [word] if answer.language == "en" else answer.opening.startswith(word)


@constraint(
    "first_letter",
    en=(
        'The first word of your answer must start with the letter "{mark}".',
        'Begin with a word whose first letter is "{mark}".',
        'Let your answer start with the letter "{mark}".',
    ),
    zh=("回答的第一个字必须是“{mark}”。", "用“{mark}”字开头。", "让“{mark}”成为全文的第一个字。"),
    draw=lambda source, language, level: {"mark": source.choice("ABCDFHLMPRSTW" if language == "en" else "大天人小春每好当早夜")},
    claims="first",
    tags="wording literal",
    avoids="fixed quoted",
)
def _first_letter(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return answer.opening.startswith(parameters["mark"].casefold())


@constraint(
    "end_phrase",
    en=("End your answer with: {phrase}", "The last words must be exactly: {phrase}", "Finish with this sentence: {phrase}"),
    zh=("最后以这句话结尾：{phrase}", "结尾必须是：{phrase}", "请用下面这句话收尾：{phrase}"),
    draw=_draw_from("phrase", _ENDINGS),
    claims="last",
    tags="wording literal exclaiming",
    avoids="fixed quoted exclamations avoid_mark short_words no_first_person",
)
def _end_phrase(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return answer.casefolded.endswith(parameters["phrase"].casefold()) and len(answer.casefolded) > len(parameters["phrase"])


@constraint(
    "end_question",
    en=(
        "End your answer with a question.",
        "The last character must be a question mark.",
        "Close with a question to the reader.",
    ),
    zh=("以一个问句结尾。", "最后一个字符必须是问号。", "结尾向读者提一个问题。"),
    claims="last questions",
    avoids="fixed quoted",
)
def _end_question(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return answer.text.endswith(("?", "？"))


@constraint(
    "titled",
    en=(
        'Put a title on the first line, written as "Title: ...".',
        'The first line must be a title that starts with "Title:".',
        'Start with a line "Title: ..." and write the text below it.',
    ),
    zh=("第一行写标题，格式为“标题：……”。", "首行必须以“标题：”开头，正文写在下面。", "先写一行“标题：……”，再写正文。"),
    claims="first",
    tags="line wording literal",
    avoids="fixed quoted",
)
def _titled(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    lead = r"title:\s*" if answer.language == "en" else r"标题[:：]\s*"
    first = answer.lines[0].strip("*# ").casefold() if answer.lines else ""
    match = re.match(lead, first)
    return match is not None and bool(split_words(first[match.end() :], answer.language)) and len(answer.lines) >= 2


@constraint(
    "quoted",
    en=(
        "Put your whole answer in double quotation marks.",
        "The answer must start and end with a double quotation mark.",
        "Wrap everything that you write in double quotes.",
    ),
    zh=("把整个回答放在双引号里。", "回答必须以双引号开头、以双引号结尾。", "用一对双引号把全文括起来。"),
    claims="first last quotes",
    avoids="fixed layout line",
)
def _quoted(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    return len(answer.text) > 2 and (answer.text[0], answer.text[-1]) in _QUOTES


@constraint(
    "note_last",
    en=(
        'Close with a separate last line that starts with "Note:".',
        'The last line must begin with "Note:".',
        'Add a final line "Note: ...".',
    ),
    zh=("最后另起一行，以“备注：”开头。", "最后一行必须以“备注：”开头。", "结尾加一行“备注：……”。"),
    claims="last",
    tags="line literal wording",
    avoids="fixed quoted one_line quote_block",
    held_out=True,
)
def _note_last(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    lead = r"note:\s*" if answer.language == "en" else r"备注[:：]\s*"
    last = answer.lines[-1].strip("*# ").casefold() if answer.lines else ""
    match = re.match(lead, last)
    return match is not None and bool(split_words(last[match.end() :], answer.language)) and len(answer.lines) >= 2


@constraint(
    "signature",
    en=(
        'Sign your answer on the last line with "- {name}".',
        'The last line must be "- {name}".',
        'Finish with the signature "- {name}" on a line of its own.',
    ),
    zh=("最后一行署名“- {name}”。", "结尾另起一行写“- {name}”。", "在末行落款：- {name}"),
    draw=_draw_from("name", _NAMES),
    claims="last",
    tags="line literal wording",
    avoids="fixed quoted quote_block items one_line",
)
def _signature(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    last = answer.lines[-1].casefold() if answer.lines else ""
    return len(answer.lines) >= 2 and re.fullmatch(rf"[-–—]\s*{re.escape(parameters['name'].casefold())}", last) is not None


@constraint(
    "copy_first",
    en=(
        "First write this sentence word for word, then answer: {phrase}",
        "Start your answer with exactly this: {phrase}",
        'Open with the sentence "{phrase}" and then answer.',
    ),
    zh=("先原样写下这句话，再回答：{phrase}", "回答的开头必须是：{phrase}", "先写“{phrase}”，然后再作答。"),
    draw=_draw_from("phrase", _SENTENCES),
    claims="first opening",
    tags="literal wording",
    avoids="fixed quoted avoid_mark no_first_person layout exclude_words",
)
def _copy_first(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    phrase = parameters["phrase"].casefold()
    return answer.casefolded.startswith(phrase) and len(answer.casefolded) > len(phrase)


@constraint(
    "same_start",
    en=(
        'Start every sentence with the word "{word}".',
        'Each sentence must begin with "{word}".',
        'Every sentence begins with the same word: "{word}".',
    ),
    zh=("每句话都以“{word}”开头。", "句句都要用“{word}”开始。", "每一句的开头都是“{word}”。"),
    draw=_draw_from("word", _OPENINGS),
    claims="first layout last repetition opening",
    tags="literal wording",
    avoids="fixed line quoted",
    held_out=True,
)
def _same_start(answer: ParsedAnswer, parameters: ConstraintParameters) -> bool:
    word = parameters["word"].casefold()
    starts = [split_words(sentence.casefold(), "en")[:1] == [word] for sentence in answer.sentences]
    if answer.language == "zh":
        starts = [sentence.casefold().startswith(word) for sentence in answer.sentences]
    return len(starts) >= 2 and all(starts)


BOUNDARY_CONSTRAINTS: tuple[ConstraintKind, ...] = (
    _start_word,
    _first_letter,
    _end_phrase,
    _end_question,
    _titled,
    _quoted,
    _note_last,
    _signature,
    _copy_first,
    _same_start,
)
