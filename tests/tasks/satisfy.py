"""Writes an answer that meets given constraints, as proof that every kind and every allowed combination can be met.

Builds the answer from the parameters: filler words, then the required words, then the layout. It never calls a checker.
"""

from __future__ import annotations

import itertools
import random
from typing import Any

from yearling.tasks.environments.instructions.parsed_answer import InstructionLanguage, split_words

_ENGLISH = (
    "warm red sun moon hill low bird tree home lake blue wind soft rain leaf gold fish boat calm dusk fire snow mild road "
    "wolf pine field quiet hazel brook zebra jolly quick happy vivid kind"
)
_CHINESE = (
    "阳光 清风 远山 小路 白云 青草 老树 红花 月亮 星星 鸟儿 花香 流水 木屋 秋叶 夏夜 雪地 晨雾 晚霞 竹林 荷塘 麦田 山谷 湖面 "
    "沙滩 渔船 炊烟 炉火 书桌 茶香"
)
_WORDS = ("apple", "bird", "calm", "dusk", "fish", "hill", "lake", "moon", "pine", "rain", "sun", "tree", "wind")
_INITIAL = {word[0].upper(): word for word in _WORDS}


class Writer:
    """An answer under construction."""

    def __init__(self, constraints: list[dict[str, Any]], language: InstructionLanguage) -> None:
        self.wanted = {constraint["kind"]: constraint["parameters"] for constraint in constraints}
        english = {"lowercase", "uppercase"} & set(self.wanted)
        other = self.wanted.get("other_language")
        self.language: InstructionLanguage = other["language"] if other else "en" if english else language
        banned = str(self.wanted.get("avoid_mark", {}).get("mark", "\0"))
        pool = [word for word in (_ENGLISH if self.language == "en" else _CHINESE).split() if banned not in word]
        source = random.Random(7)
        self.fillers = itertools.chain.from_iterable(source.sample(pool, len(pool)) for _ in itertools.count())

    def filler(self, count: int) -> list[str]:
        return list(itertools.islice(self.fillers, count))

    def short(self, word: str) -> str:
        return word if self.language == "en" else word[0]

    def get(self, kind: str, name: str, default: Any = None) -> Any:
        return self.wanted.get(kind, {}).get(name, default)

    def units(self) -> list[list[str]]:
        """Return the sentences, items, lines or parts, as lists of words."""
        count = 2
        for kind in ("bullets", "numbered", "lines_exactly", "paragraphs_exactly", "sections", "sentences_exactly", "comma_list"):
            count = self.get(kind, "n", count)
        if "rising_lines" in self.wanted:
            count = 3
        if "sentences_at_most" in self.wanted:
            count = 2
        if {"sentences_exactly", "sentences_at_most"} & set(self.wanted):
            count -= len({"copy_first", "end_phrase"} & set(self.wanted))
        tight = self.language == "zh" and {"words_at_most", "words_between", "short_sentences"} & set(self.wanted)
        units = [
            self.filler(
                1 if tight and not {"two_versions", "copy_first", "end_phrase"} & set(self.wanted) else 3 if count <= 2 else 2
            )
            for _ in range(count)
        ]
        return units or [[]]

    def put_words(self, units: list[list[str]]) -> None:
        first, last = units[0], units[-1]
        for kind in ("include_word", "first_sentence_word"):
            first += [self.get(kind, "word")] if kind in self.wanted else []
        first += (
            [self.get("words_in_order", "first"), *self.filler(1), self.get("words_in_order", "second")]
            if "words_in_order" in self.wanted
            else []
        )
        first += [self.get("exactly_one_of", "words")[0]] if "exactly_one_of" in self.wanted else []
        first += [self.get("the_number", "value")] if "the_number" in self.wanted else []
        for _ in range(self.get("word_times", "n", 0)):
            last += [self.get("word_times", "word"), *map(self.short, self.filler(1))]
        if "steps_in_words" in self.wanted:
            for word in ("first", "then", "finally") if self.language == "en" else ("首先", "然后", "最后"):
                first += [word, *map(self.short, self.filler(1))]
        if "has_numbers" in self.wanted:
            between = " " if self.language == "en" else "、"
            first.append(between.join(str(40 + number) for number in range(self.get("has_numbers", "n"))))
        if "item_word" in self.wanted:
            for unit in units:
                unit.append(self.get("item_word", "word"))
        last += [self.get("last_sentence_word", "word")] if "last_sentence_word" in self.wanted else []

    def put_marks(self, units: list[list[str]]) -> None:
        last = units[-1]
        units[0] += [f"({self.short(word)})" for word in self.filler(self.get("brackets", "n", 0))]
        last += [f"**{self.short(word)}**" for word in self.filler(self.get("bold", "n", 0))]
        last += [f" #{word} " for word in self.filler(self.get("hashtags", "n", 0))]
        if "quotation" in self.wanted:
            last.append('"' + self.join(self.filler(3)) + '"')
        if "emoji" in self.wanted:
            last.append(self.get("emoji", "mark"))

    def put_start(self, units: list[list[str]]) -> None:
        if "start_word" in self.wanted:
            units[0].insert(0, self.get("start_word", "word"))
        if "first_letter" in self.wanted:
            mark = self.get("first_letter", "mark")
            units[0].insert(0, _INITIAL[mark] if self.language == "en" else mark)
        if "same_start" in self.wanted:
            for unit in units:
                unit.insert(0, self.get("same_start", "word"))

    def size(self, unit: list[str]) -> int:
        return len(split_words(self.join(unit), self.language))

    def pad(self, units: list[list[str]]) -> None:
        low = max(self.get("words_at_least", "n", 0), self.get("words_between", "low", 0))
        size = 1 if self.language == "en" else 2
        if low:
            have = sum(map(self.size, units))
            leads = 4 * len(units) if "sections" in self.wanted and self.language == "zh" else 0
            units[-1][:] = self.filler(max(0, low - have - leads) // size + 1) + units[-1]
            if "same_start" in self.wanted:
                units[-1].insert(0, self.get("same_start", "word"))

    def raise_lines(self, units: list[list[str]]) -> None:
        size = 1 if self.language == "en" else 2
        if "rising_lines" in self.wanted:
            for before, after in itertools.pairwise(units):
                after += self.filler(max(0, (self.size(before) - self.size(after)) // size + 1))

    def join(self, words: list[str]) -> str:
        if self.language == "en":
            return " ".join(" ".join(words).split())
        between = "，" if "short_words" in self.wanted else ""
        return between.join(words).replace("  ", " ").strip()

    def sentences(self, units: list[list[str]]) -> list[str]:
        stop = "." if self.language == "en" else "。"
        asks, shouts = self.get("questions", "n", 0), self.get("exclamations", "n", 0)
        ends = [stop] * len(units)
        if asks or shouts:
            ends[0] = "?" * asks + "!" * shouts
        if "end_question" in self.wanted:
            ends[-1] = "?" if self.language == "en" else "？"
        return [self.join(unit) + end for unit, end in zip(units, ends, strict=True)]

    def lay_out(self, units: list[list[str]]) -> str:
        wanted = self.wanted
        if "comma_list" in wanted:
            return ", ".join(self.join(unit) for unit in units)
        if "json_object" in wanted:
            import json

            keys = wanted["json_object"]["keys"]
            values = [self.join(unit) for unit in units]
            pairs = dict(zip(keys, [*values, *(self.join(self.filler(3)) for _ in keys)], strict=False))
            if len(keys) < len(values):
                pairs[keys[-1]] += " ".join(values[len(keys) - 1 :])
            return json.dumps(pairs, ensure_ascii=False)
        assistant_turn = [part for part in self.sentences(units) if part.strip(".。")]
        if "copy_first" in wanted:
            assistant_turn.insert(0, wanted["copy_first"]["phrase"])
        if {"bullets", "item_word"} & set(wanted):
            assistant_turn = [f"- {part}" for part in assistant_turn]
        elif "numbered" in wanted:
            assistant_turn = [f"{number}. {part}" for number, part in enumerate(assistant_turn, 1)]
        elif "sections" in wanted:
            lead = "Part {}: " if self.language == "en" else "第{}部分："
            assistant_turn = [lead.format(number) + part for number, part in enumerate(assistant_turn, 1)]
        elif "quote_block" in wanted:
            assistant_turn = [f"> {part}" for part in assistant_turn]
        if "two_versions" in wanted:
            assistant_turn.insert(1, "===")
        lined = {"bullets", "item_word", "numbered", "sections", "quote_block", "two_versions", "lines_exactly", "rising_lines"}
        between = "\n" if lined & set(wanted) else "\n\n" if "paragraphs_exactly" in wanted else " "
        return between.join(assistant_turn)

    def edges(self, text: str) -> str:
        wanted, english = self.wanted, self.language == "en"
        if "titled" in wanted:
            text = ("Title: " if english else "标题：") + self.join(self.filler(2)) + "\n" + text
        if "end_phrase" in wanted:
            text += " " + wanted["end_phrase"]["phrase"]
        if "note_last" in wanted:
            text += ("\nNote: " if english else "\n备注：") + self.join(self.filler(2))
        if "signature" in wanted:
            text += "\n- " + wanted["signature"]["name"]
        if "quoted" in wanted:
            text = f"“{text}”"
        if "uppercase" in wanted:
            return text.upper()
        return text.lower() if "lowercase" in wanted else text


def satisfying(constraints: list[dict[str, Any]], language: InstructionLanguage) -> str:
    """Return an answer that meets all these constraints (`{"kind", "parameters"}`) of a request in this language."""
    writer = Writer(constraints, language)
    units = writer.units()
    writer.put_words(units)
    writer.put_marks(units)
    writer.pad(units)
    writer.put_start(units)
    writer.raise_lines(units)
    return writer.edges(writer.lay_out(units))
