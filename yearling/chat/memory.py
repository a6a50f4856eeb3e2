"""What is worth remembering of what a person says about themselves, and which of it bears on a question.

Only the person's own words are looked at, and what is remembered are these words: a clause in which somebody says something
lasting of themselves ("I'm allergic to nuts", "我住在上海"), or asks outright that it be remembered. Rules and not a model: a
missed fact can be said again, but a wrong memory poisons every later answer. So everything doubtful is left alone: questions,
wishes and suppositions, what is quoted, pasted, or given as material to work on, and anything that looks like a secret.

For a question, those memories are chosen that are near to it by their words and fields of life, and the few that always matter (a
name, how somebody wants to be answered), up to a budget of tokens. The rest is not shown to the model: what does not bear on a
question leaks into the answer, as PersistBench shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from yearling.chat.memory_rules import memory_rules
from yearling.store import index_words

MAX_MEMORIES_PER_MESSAGE = 8
_MAX_MEMORY_CHARS = 240
_MAX_MESSAGE_CHARS = 6000


class SelectableMemory(Protocol):
    """What `choose` needs to know of a memory."""

    @property
    def text(self) -> str: ...

    @property
    def topic(self) -> str: ...


R = TypeVar("R", bound=SelectableMemory)


@dataclass(frozen=True, slots=True)
class ExtractedMemory:
    """A clause as the person said it. `topic` is set where only one thing can be true."""

    text: str
    topic: str = ""


# Extraction

_CODE = re.compile(r"```.*?(```|\Z)|`[^`\n]*`", re.DOTALL)
_QUOTED = re.compile(r"^\s*>.*$|\"[^\"\n]*\"|“[^”\n]*”|«[^»\n]*»|「[^」\n]*」|『[^』\n]*』", re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?。！？\n;；]+(?:\.(?=\w)[^.!?。！？\n;；]+)*[.!?。！？;；]*")
_TRAILING_CLAUSE = re.compile(
    r"(?:,|\s-)?\s+(?:but|because|so|who|where|when|while|although|though|since|therefore|if|then)\b.*$"
    r"|,?\s+and\s+(?:i|we|he|she|they|it|there|then|now|one of|some of|need|want|have|am|was|get|feel|would|sometimes|"
    r"recently|always|don't|can't|looking|trying|also)\b.*$"
    r"|\s+(?:i'd|i’d|that i|which i)\b.*$",
    re.IGNORECASE,
)
_QUESTION_TAIL = re.compile(
    r"(?:,|，| so| and| -|—|:)\s*"
    r"(?:what|how|which|where|when|why|who|can|could|should|shall|do|does|did|is|are|will|would|any)\b.*$",
    re.IGNORECASE | re.DOTALL,
)
_LEAD_IN = re.compile(
    r"^(?:(?:hi|hello|hey|well|so|also|and|but|oh|ok|okay|actually|basically|btw|fyi|by the way|just so you know|for context|"
    r"for your information|note that|a bit about me|about me|in case it helps|as you may know|你好|您好|嗨|另外|还有|顺便说一下|"
    r"对了|其实|首先)\s*(?:there)?\s*[,:!，：！]?\s*)+",
    re.IGNORECASE,
)
_CLAUSE_BREAK = re.compile(r",?\s+(?:and|but)\s+(?=(?:i|i'm|i’m|i've|my)\b)|,\s*(?=(?:i|i'm|i’m|i've|my)\b)|，", re.IGNORECASE)
_HYPOTHETICAL = re.compile(
    r"^(?:(?:if|suppose|supposing|imagine|pretend|assume|assuming|let's say|say|what if|when|whenever|unless|as if|as though)\b"
    r"|如果|假如|假设|假定|要是|想象|当我|万一)",
    re.IGNORECASE,
)
_REMEMBER_REQUEST = re.compile(
    r"^(?:please\s+|can you\s+|could you\s+)?(?:remember|keep in mind|note|make a note|don't forget|do not forget|never forget)"
    r"(?:\s+that|\s*:|)\s+(?P<what>(?:i|i'm|i’m|i've|my|we|our)\b.+)$"
    r"|^(?:for future reference|for the record)\s*[,:]\s*(?P<later>(?:i|i'm|i’m|i've|my|we|our)\b.+)$",
    re.IGNORECASE,
)
_STYLE_REQUEST = re.compile(
    r"^(?:(?:please\s+)?(?:from now on|in future|in the future|going forward)\s*,?\s+(?:please\s+)?"
    r"(?:always\s+|never\s+|only\s+)?"
    r"(?:answer|reply|respond|write|use|call|address|keep|avoid|give|explain|don't|do not|speak|talk|stop)\b.+"
    r"|(?:please\s+)?(?:always|never)\s+(?:answer|reply|respond|write to me|use|call me|address me|give me|explain)\b.+)$",
    re.IGNORECASE,
)
_TEMPORARY_TAIL = re.compile(
    r"\s*(?:right now|at the moment|today|tonight|this (?:morning|evening|afternoon|week))\s*[.!]*$", re.IGNORECASE
)


def extract_memories(text: str) -> list[ExtractedMemory]:
    """What a person said of themselves that lasts, each once, in their own words; often nothing."""
    if len(text) > _MAX_MESSAGE_CHARS or memory_rules().pasted_material.search(text):
        return []
    found: dict[str, ExtractedMemory] = {}
    for sentence in _split_sentences(text):
        for clause in _split_clauses(sentence):
            fact = _memory_from_clause(clause)
            if fact is not None:
                found.setdefault(fact.text.casefold(), fact)
    return list(found.values())[:MAX_MEMORIES_PER_MESSAGE]


def _split_sentences(text: str) -> Iterator[str]:
    plain = _QUOTED.sub(" ", _CODE.sub(" ", text))
    for match in _SENTENCE.finditer(plain):
        sentence = match[0].strip()
        if sentence:
            yield sentence


def _split_clauses(sentence: str) -> Iterator[str]:
    """The clauses of a sentence that could say something; of a question only what comes before the asking."""
    asks = sentence.rstrip()[-1:] in "?？"
    body = sentence.rstrip("?？.。!！;； ").strip(" -–—*•\t")
    if asks:
        # In Chinese, what is asked stands behind the last comma.
        statement = body.rpartition("，")[0] or _QUESTION_TAIL.sub("", body)
        if statement == body:
            return
        body = statement
    body = _LEAD_IN.sub("", body).strip()
    if not body or _HYPOTHETICAL.match(body):
        return
    yield from (_LEAD_IN.sub("", clause).strip(" ,，") for clause in _CLAUSE_BREAK.split(body))


def _memory_from_clause(clause: str) -> ExtractedMemory | None:
    if not 2 < len(clause) <= _MAX_MEMORY_CHARS or memory_rules().secret.search(clause):
        return None
    asked = next(
        (found for pattern in (_REMEMBER_REQUEST, *memory_rules().remember_requests_zh) if (found := pattern.match(clause))), None
    )
    if asked:
        what = next((group for group in asked.groupdict().values() if group), clause).strip(" ,，:：")
        if len(what) < 3 or _HYPOTHETICAL.match(what):
            return None
        known = _match_self_statement(what)
        return ExtractedMemory(_normalise_text(what), known.topic if known else "")
    if _STYLE_REQUEST.match(clause):
        return ExtractedMemory(_normalise_text(clause), "")
    if memory_rules().uncertain.search(clause) or _TEMPORARY_TAIL.search(clause):
        return None
    return _match_self_statement(clause)


def _match_self_statement(clause: str) -> ExtractedMemory | None:
    """The clause, without what merely follows from it, where it says something lasting."""
    for rule in memory_rules().self_statements:
        if rule.pattern.match(clause):
            short = _TRAILING_CLAUSE.sub("", clause)
            kept = short if rule.pattern.match(short) else clause
            if not rule.needs_field or _life_fields(kept):
                return ExtractedMemory(_normalise_text(kept), rule.topic)
    return None


def _normalise_text(clause: str) -> str:
    text = " ".join(clause.split()).strip(" ,，:：")
    return text[:1].upper() + text[1:]


# Choice

_FIELD_WEIGHT_WORDS = 2
_MIN_SIMILARITY = 0.18
"""Both chosen on one half of PersistBench; `dev/LOG.md` has what they do on the other."""


def select_memories(memories: Sequence[R], question: str, *, budget_tokens: int) -> list[R]:
    """The memories that bear on a question, the nearest first, as many as the budget holds.

    One bears on it that is near enough; or that always matters; or that it would be dangerous to forget (an allergy) where the
    question is of the same field of life, however much else it speaks of.
    """
    asked, fields = _content_words(question), _life_fields(question)
    ranked = []
    for at, memory in enumerate(memories):
        its_fields = _life_fields(memory.text)
        always = memory.topic == "name" or bool(memory_rules().always_relevant.search(memory.text))
        vital = bool(its_fields & fields) and bool(memory_rules().safety_critical.search(memory.text))
        near = _similarity(_content_words(memory.text), its_fields, asked, fields)
        if always or vital or near >= _MIN_SIMILARITY:
            ranked.append((-(2.0 * always + vital + near), at, memory))
    chosen: list[R] = []
    left = budget_tokens
    for _, _, memory in sorted(ranked, key=lambda one: one[:2]):
        cost = max_num_tokens(memory.text) + 2
        if cost <= left:
            chosen.append(memory)
            left -= cost
    return chosen


def _similarity(some: set[str], some_fields: set[str], other: set[str], other_fields: set[str]) -> float:
    """The cosine of two texts as sets of words, 0 to 1, where a field of life is as good as `_FIELD_WORDS` words.

    Without the lengths, long texts would be near to everything: they share a word or a field by chance.
    """
    shared = len(some & other) + _FIELD_WEIGHT_WORDS * len(some_fields & other_fields)
    sizes = [len(words) + _FIELD_WEIGHT_WORDS * len(fields) for words, fields in ((some, some_fields), (other, other_fields))]
    return float(shared / (sizes[0] * sizes[1]) ** 0.5) if shared else 0.0


def max_num_tokens(text: str) -> int:
    """More tokens than any usual tokenizer makes of a text."""
    plain = sum(1 for character in text if character.isascii())
    return plain // 3 + 2 * (len(text) - plain) + 1


def _content_words(text: str) -> set[str]:
    """Words that say something: no short or common ones, of Chinese the pairs; plurals as singulars."""
    found = set()
    for word in index_words(text):
        if word.isascii():
            if len(word) > 3 and word not in memory_rules().common_words:
                found.add(word.removesuffix("s"))
        elif len(word) > 1 and word not in memory_rules().common_words:
            found.add(word)
    return found


def _life_fields(text: str) -> set[str]:
    return {name for name, pattern in memory_rules().life_fields.items() if pattern.search(text)}
