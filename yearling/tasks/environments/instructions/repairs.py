"""Repairs: turns a plain English answer into one that meets the constraints of a task, without a model.

A small model meets some kinds of constraint never, so sampling alone finds nothing to learn from. The words stay the model's own:
a repair reorders, cuts, marks up or extends a draft. The checkers have the last word, so a repair that fails is no demonstration.
Kinds that are held out for exams have no repair, and neither have answers in Chinese.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping
from typing import Any

from yearling.tasks.environments.instructions.environment import Instructions
from yearling.tasks.environments.instructions.parsed_answer import ParsedAnswer, split_words
from yearling.tasks.environments.protocol import Task

MAX_DRAFT_CHARS = 4000
"""Longer drafts are cut: a demonstration is short."""
MAX_SENTENCES = 4

Parameters = Mapping[str, Any]
Repair = Callable[[str, Parameters, random.Random], str]
"""Changes a text so that it may meet one constraint. What cannot be repaired comes back as it was."""

_END = re.compile(r"[.!?][\"'”’)]*$")
_MARKUP = re.compile(r"[*_#>`]+")
_STOP_WORD_TEXT = """
about after again also because been before being both could does each from have here into just like many more most much other over
same should some such than that their them then there these they this those through under until very what when where which while
will with would your
"""
_STOP_WORDS = frozenset(_STOP_WORD_TEXT.split())
_FIRST_PERSON_TEXT = "i me my mine myself we us our ours i'm i've i'd i'll we're we've we'll"  # as the checker has them
_FIRST_PERSON = frozenset(_FIRST_PERSON_TEXT.split())
_ASIDES = ("of course", "most of the time", "for many people", "as a rule", "more or less", "in most cases")
_QUESTIONS = ("What do you think?", "Does that make sense?", "Have you seen this yourself?", "Would you like to know more?")
_OPENERS = {
    "A": "Actually,",
    "B": "Basically,",
    "C": "Certainly,",
    "D": "Definitely,",
    "F": "Frankly,",
    "H": "Honestly,",
    "L": "Luckily,",
    "M": "Maybe",
    "P": "Perhaps",
    "R": "Really,",
    "S": "Surely,",
    "T": "Truly,",
    "W": "Well,",
}
_WORD_SENTENCES = (
    "Think of the {word}.",
    "It is a little like the {word}.",
    "Picture the {word} nearby.",
    "Even the {word} can play a part.",
    "Remember the {word}.",
)


def repair_answer(task: Task, draft: str) -> str | None:
    """An answer to an English task that meets all of its constraints, made of a draft; None if it cannot be made.

    The same task and draft always give the same answer. Takes milliseconds.
    """
    constraints = {entry["kind"]: entry["parameters"] for entry in task.data["constraints"]}
    if task.data["language"] != "en" or not constraints.keys() <= REPAIRS.keys():
        return None
    source = random.Random(f"repair {task.key} {draft}")
    text = plain_prose(draft)
    for kind, repair in REPAIRS.items():  # in this order, whatever the order in the task
        if kind in constraints:
            text = repair(text, constraints[kind], source)
    solved = Instructions().reward(task, [{"role": "assistant", "content": text}]) == 1.0
    return text if solved else None


def plain_prose(draft: str) -> str:
    """The first complete sentences of a draft, on one line, without lists and marks. Empty if there are none."""
    sentences = ParsedAnswer(_MARKUP.sub("", draft[:MAX_DRAFT_CHARS]), "en").sentences
    complete = [sentence for sentence in sentences if _END.search(sentence) and len(split_words(sentence, "en")) >= 3]
    return " ".join(complete[:MAX_SENTENCES])


def _sentences(text: str) -> list[str]:
    return ParsedAnswer(text, "en").sentences


def _keep(text: str, is_kept: Callable[[str], bool]) -> str:
    return " ".join(sentence for sentence in _sentences(text) if is_kept(sentence))


def _lower_first(text: str) -> str:
    first = text.split(" ", 1)[0]
    is_name = first == "I" or first.startswith("I'") or first.isupper()
    return text if is_name else text[:1].lower() + text[1:]


def _pieces(text: str, count: int) -> list[str]:
    """`count` parts of a text: its sentences, and if they are too few, their clauses. Fewer if there are not so many."""
    parts = _sentences(text)
    while len(parts) < count:
        index = max(range(len(parts)), key=lambda at: len(parts[at])) if parts else -1
        left, comma, right = parts[index].partition(", ") if parts else ("", "", "")
        if not comma or len(right.split()) < 3 or len(left.split()) < 2:
            return parts
        parts[index : index + 1] = [f"{left}.", right[:1].upper() + right[1:]]
    return [*parts[: count - 1], " ".join(parts[count - 1 :])] if count else []


def _content_words(text: str) -> list[str]:
    """The distinct longer words of a text, in their order."""
    words = [word for word in split_words(text.casefold(), "en") if len(word) > 3 and word.isalpha() and word not in _STOP_WORDS]
    return list(dict.fromkeys(words))


def _sentences_at_most(text: str, parameters: Parameters, source: random.Random) -> str:
    return " ".join(_sentences(text)[: source.randint(1, int(parameters["n"]))])


def _words_at_most(text: str, parameters: Parameters, source: random.Random) -> str:
    kept: list[str] = []
    for sentence in _sentences(text):
        if len(split_words(" ".join([*kept, sentence]), "en")) <= parameters["n"]:
            kept.append(sentence)
    return " ".join(kept)


def _exclude_words(text: str, parameters: Parameters, source: random.Random) -> str:
    unwanted = {word.casefold() for word in parameters["words"]}
    return _keep(text, lambda sentence: not unwanted & set(split_words(sentence.casefold(), "en")))


def _no_first_person(text: str, parameters: Parameters, source: random.Random) -> str:
    return _keep(text, lambda sentence: not _FIRST_PERSON & set(split_words(sentence.casefold().replace("’", "'"), "en")))


def _has_numbers(text: str, parameters: Parameters, source: random.Random) -> str:
    numbers = sorted(source.sample(range(2, 60), int(parameters["n"])))
    listed = ", ".join(map(str, numbers[:-1]))
    return f"{text} For example, think of {listed} or {numbers[-1]} cases."


def _with_word(text: str, word: str, count: int, source: random.Random) -> str:
    return " ".join([text, *(template.format(word=word) for template in source.sample(_WORD_SENTENCES, count))])


def _first_sentence_word(text: str, parameters: Parameters, source: random.Random) -> str:
    return f"{source.choice(_WORD_SENTENCES).format(word=parameters['word'])} {text}"


def _steps_in_words(text: str, parameters: Parameters, source: random.Random) -> str:
    parts = [_lower_first(part) for part in _pieces(text, 3)]
    return f"First, {parts[0]} Then, {parts[1]} Finally, {parts[2]}" if len(parts) == 3 else text


def _questions(text: str, parameters: Parameters, source: random.Random) -> str:
    return " ".join([text.replace("?", "."), *source.sample(_QUESTIONS, int(parameters["n"]))])


def _exclamations(text: str, parameters: Parameters, source: random.Random) -> str:
    parts = [sentence.replace("!", ".") for sentence in _sentences(text)]
    count = int(parameters["n"])
    cheers = source.sample(("Enjoy it!", "Give it a try!", "Good luck!"), max(0, count - len(parts)))
    head = count - len(cheers)
    return " ".join([*(re.sub(r"[.?]+$", "!", part) for part in parts[:head]), *parts[head:], *cheers])


def _brackets(text: str, parameters: Parameters, source: random.Random) -> str:
    asides, parts = source.sample(_ASIDES, int(parameters["n"])), _pieces(text, int(parameters["n"]))
    if len(parts) < len(asides):
        return text
    marked = [re.sub(r"([.!?]+)$", rf" ({asides[at]})\1", part) if at < len(asides) else part for at, part in enumerate(parts)]
    return " ".join(marked)


def _mark_words(text: str, count: int, source: random.Random, mark: str) -> str:
    words = _content_words(text)
    for word in source.sample(words, min(count, len(words))):
        text = re.sub(rf"\b({re.escape(word)})\b", mark, text, count=1, flags=re.IGNORECASE)
    return text


def _hashtags(text: str, parameters: Parameters, source: random.Random) -> str:
    words = _content_words(text)
    return " ".join([text, *(f"#{word}" for word in source.sample(words, min(int(parameters["n"]), len(words))))])


def _quotation(text: str, parameters: Parameters, source: random.Random) -> str:
    parts = [sentence.replace('"', "") for sentence in _sentences(text)]
    return " ".join([*parts[:-1], f'As people say, "{parts[-1]}"']) if parts else text


def _list_of(text: str, count: int, bullet: Callable[[int], str]) -> str:
    return "\n".join(f"{bullet(number)}{part}" for number, part in enumerate(_pieces(text, count), start=1))


def _item_word(text: str, parameters: Parameters, source: random.Random) -> str:
    templates = ("like the {word}", "with the {word}", "near the {word}")
    parts = _pieces(text, source.choice((2, 3)))
    ends = [template.format(**parameters) for template in source.sample(templates, len(templates))]
    return "\n".join(f"- {re.sub(r'[.!?]+$', '', part)}, {ends[at % 3]}." for at, part in enumerate(parts))


def _comma_list(text: str, parameters: Parameters, source: random.Random) -> str:
    return ", ".join(_content_words(text)[: int(parameters["n"])])


def _json_object(text: str, parameters: Parameters, source: random.Random) -> str:
    keys = parameters["keys"]
    return json.dumps(dict(zip(keys, _pieces(text, len(keys)), strict=False)))


def _two_versions(text: str, parameters: Parameters, source: random.Random) -> str:
    return "\n===\n".join(_pieces(text, 2))


def _rising_lines(text: str, parameters: Parameters, source: random.Random) -> str:
    rising: list[str] = []
    for part in sorted(_pieces(text, 4), key=lambda part: len(split_words(part, "en"))):
        if not rising or len(split_words(part, "en")) > len(split_words(rising[-1], "en")):
            rising.append(part)
    return "\n".join(rising)


def _titled(text: str, parameters: Parameters, source: random.Random) -> str:
    words = [word.capitalize() for word in _content_words(text)[: source.choice((2, 3))]]
    return f"Title: {' '.join(words)}\n{text}"


REPAIRS: dict[str, Repair] = {
    # What is left of the draft
    "exclude_words": _exclude_words,
    "avoid_mark": lambda text, p, source: _keep(text, lambda sentence: p["mark"] not in sentence.casefold()),
    "no_digits": lambda text, p, source: _keep(text, lambda sentence: not any(map(str.isdigit, sentence))),
    "no_first_person": _no_first_person,
    "sentences_exactly": lambda text, p, source: " ".join(_pieces(text, 99)[: int(p["n"])]),
    "sentences_at_most": _sentences_at_most,
    "words_at_most": _words_at_most,
    "words_at_least": lambda text, p, source: text,
    # What is added
    "has_numbers": _has_numbers,
    "include_word": lambda text, p, source: _with_word(text, p["word"], 1, source),
    "word_times": lambda text, p, source: _with_word(text, p["word"], int(p["n"]), source),
    "first_sentence_word": _first_sentence_word,
    "steps_in_words": _steps_in_words,
    "questions": _questions,
    "exclamations": _exclamations,
    "brackets": _brackets,
    "bold": lambda text, p, source: _mark_words(text, int(p["n"]), source, r"**\1**"),
    "quotation": _quotation,
    # The layout
    "bullets": lambda text, p, source: _list_of(text, int(p["n"]), lambda number: "- "),
    "numbered": lambda text, p, source: _list_of(text, int(p["n"]), lambda number: f"{number}. "),
    "sections": lambda text, p, source: _list_of(text, int(p["n"]), lambda number: f"Part {number}: "),
    "lines_exactly": lambda text, p, source: "\n".join(_pieces(text, int(p["n"]))),
    "paragraphs_exactly": lambda text, p, source: "\n\n".join(_pieces(text, int(p["n"]))),
    "one_line": lambda text, p, source: text,
    "item_word": _item_word,
    "comma_list": _comma_list,
    "json_object": _json_object,
    "two_versions": _two_versions,
    "rising_lines": _rising_lines,
    # The beginning and the end
    "hashtags": _hashtags,
    "emoji": lambda text, p, source: f"{text} {p['mark']}",
    "start_word": lambda text, p, source: f"{p['word']}, {_lower_first(text)}",
    "first_letter": lambda text, p, source: f"{_OPENERS[p['mark']]} {_lower_first(text)}",
    "copy_first": lambda text, p, source: f"{p['phrase']} {text}",
    "titled": _titled,
    "end_phrase": lambda text, p, source: f"{text} {p['phrase']}",
    "end_question": lambda text, p, source: f"{text} {source.choice(_QUESTIONS)}",
    "quoted": lambda text, p, source: '"' + text.replace('"', "") + '"',
    "signature": lambda text, p, source: f"{text}\n- {p['name']}",
    # The letters
    "no_commas": lambda text, p, source: text.replace(",", ""),
    "lowercase": lambda text, p, source: text.lower(),
    "uppercase": lambda text, p, source: text.upper(),
}
"""The repairs by kind of constraint, in the order in which they are made, so that a later one seldom undoes an earlier one."""
