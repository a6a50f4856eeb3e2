"""Extracts memories from what people say about themselves, and selects those that are relevant to a question.

Extraction reads only the person's own messages and keeps their own words: a clause that says something lasting about them ("I'm
allergic to nuts", "我住在上海"), or that they ask to have remembered. It uses rules, not a model: a missed fact can be repeated,
but a wrong memory harms every later answer. So anything doubtful is ignored: questions, wishes, hypotheticals, quoted or pasted
material, and anything that looks like a secret.

Selection picks the memories that resemble a question in words and fields of life, a name where the person is addressed or has
something written, and how the person wants to be answered, up to a token budget. The model does not see the rest: irrelevant
memories leak into answers (PersistBench).
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
    """What `select_memories` reads of a memory."""

    @property
    def text(self) -> str: ...

    @property
    def topic(self) -> str: ...


R = TypeVar("R", bound=SelectableMemory)


@dataclass(frozen=True, slots=True)
class ExtractedMemory:
    """A clause in the person's words. `topic` is set if only one such statement can be true at a time (a name, a home)."""

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
    """The lasting statements that a person makes about themselves in a message, without repetitions; often none."""
    if len(text) > _MAX_MESSAGE_CHARS or memory_rules().pasted_material.search(text):
        return []
    memories: dict[str, ExtractedMemory] = {}
    for sentence in _split_sentences(text):
        for clause in _split_clauses(sentence):
            memory = _memory_from_clause(clause)
            if memory is not None:
                memories.setdefault(memory.text.casefold(), memory)
    return list(memories.values())[:MAX_MEMORIES_PER_MESSAGE]


def _split_sentences(text: str) -> Iterator[str]:
    own_text = _QUOTED.sub(" ", _CODE.sub(" ", text))
    for match in _SENTENCE.finditer(own_text):
        sentence = match[0].strip()
        if sentence:
            yield sentence


def _split_clauses(sentence: str) -> Iterator[str]:
    """The clauses of a sentence that may be statements. Of a question, only the part before the question itself counts."""
    is_question = sentence.rstrip()[-1:] in "?？"
    body = sentence.rstrip("?？.。!！;； ").strip(" -–—*•\t")
    if is_question:
        # In Chinese, the question follows the last comma.
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
    request = next(
        (match for pattern in (_REMEMBER_REQUEST, *memory_rules().remember_requests_zh) if (match := pattern.match(clause))), None
    )
    if request:
        statement = next((group for group in request.groupdict().values() if group), clause).strip(" ,，:：")
        if len(statement) < 3 or _HYPOTHETICAL.match(statement):
            return None
        memory = _match_self_statement(statement)
        return ExtractedMemory(_normalise_text(statement), memory.topic if memory else "")
    if _STYLE_REQUEST.match(clause):
        return ExtractedMemory(_normalise_text(clause), "")
    if memory_rules().uncertain.search(clause) or _TEMPORARY_TAIL.search(clause):
        return None
    return _match_self_statement(clause)


def _match_self_statement(clause: str) -> ExtractedMemory | None:
    """The memory in a clause that says something lasting, without a trailing subordinate clause."""
    for rule in memory_rules().self_statements:
        if rule.pattern.match(clause):
            shortened = _TRAILING_CLAUSE.sub("", clause)
            statement = shortened if rule.pattern.match(shortened) else clause
            if not rule.needs_field or _life_fields(statement):
                return ExtractedMemory(_normalise_text(statement), rule.topic)
    return None


def _normalise_text(clause: str) -> str:
    text = " ".join(clause.split()).strip(" ,，:：")
    return text[:1].upper() + text[1:]


# Selection

_FIELD_WEIGHT_WORDS = 2
_MIN_SIMILARITY = 0.18
"""Both were tuned on one half of PersistBench; `dev/LOG.md` has the results on the other half."""


def select_memories(memories: Sequence[R], question: str, *, budget_tokens: int) -> list[R]:
    """The memories that are relevant to a question, the most relevant first, as many as fit into the budget.

    A memory is relevant if it resembles the question, if it always matters (the language of answers), if it is a name and the
    question is a greeting or asks for a letter, or if forgetting it could do harm (an allergy) and the question is about the same
    field of life.
    """
    rules = memory_rules()
    takes_name = bool(rules.address.search(question))
    question_words, question_fields = _content_words(question), _life_fields(question)
    ranked = []
    for index, memory in enumerate(memories):
        fields = _life_fields(memory.text)
        if memory.topic == "name" or rules.name.search(memory.text):
            is_always_relevant = takes_name
        else:
            is_always_relevant = bool(rules.always_relevant.search(memory.text))
        is_safety_critical = bool(fields & question_fields) and bool(rules.safety_critical.search(memory.text))
        similarity = _similarity(_content_words(memory.text), fields, question_words, question_fields)
        if is_always_relevant or is_safety_critical or similarity >= _MIN_SIMILARITY:
            ranked.append((-(2.0 * is_always_relevant + is_safety_critical + similarity), index, memory))
    selected: list[R] = []
    remaining_tokens = budget_tokens
    for _, _, memory in sorted(ranked, key=lambda candidate: candidate[:2]):
        cost_tokens = max_num_tokens(memory.text) + 2
        if cost_tokens <= remaining_tokens:
            selected.append(memory)
            remaining_tokens -= cost_tokens
    return selected


def _similarity(words_a: set[str], fields_a: set[str], words_b: set[str], fields_b: set[str]) -> float:
    """Cosine similarity of two texts as sets of words, 0 to 1. A field of life counts as `_FIELD_WEIGHT_WORDS` words.

    Dividing by the lengths matters: long texts share a word or a field with almost anything by chance.
    """
    shared = len(words_a & words_b) + _FIELD_WEIGHT_WORDS * len(fields_a & fields_b)
    sizes = [len(words) + _FIELD_WEIGHT_WORDS * len(fields) for words, fields in ((words_a, fields_a), (words_b, fields_b))]
    return float(shared / (sizes[0] * sizes[1]) ** 0.5) if shared else 0.0


def max_num_tokens(text: str) -> int:
    """An upper bound on the number of tokens that common tokenizers make of a text."""
    num_ascii = sum(1 for character in text if character.isascii())
    return num_ascii // 3 + 2 * (len(text) - num_ascii) + 1


def _content_words(text: str) -> set[str]:
    """The words of a text without short and common ones, plurals as singulars; for Chinese, pairs of characters."""
    words = set()
    for word in index_words(text):
        if word.isascii():
            if len(word) > 3 and word not in memory_rules().common_words:
                words.add(word.removesuffix("s"))
        elif len(word) > 1 and word not in memory_rules().common_words:
            words.add(word)
    return words


def _life_fields(text: str) -> set[str]:
    """The names of the fields of life that a text is about."""
    return {name for name, pattern in memory_rules().life_fields.items() if pattern.search(text)}
