"""Claims about the passages of CMRC and XQuAD, true ones and altered ones, made by rules from questions and their answers.

- `copied`: the sentence in which the answer stands.
- `asked`: the question with the answer in place of its question word, such as "Kawann Short led the team in sacks." Its words
  are those of the person who asked, not of the source.
- `restated`: a part of the sentence behind a few words of introduction, with numbers written in another way.
- `translated`: `asked` in Chinese beside the English passage.

Alterations change a number, put a name of another passage in the place of a name, or deny what the claim says.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from yearling.checks import read_numbers
from yearling.evals.lookup.question_sets import AnsweredQuestion, QuestionSet
from yearling.retrieval import sentence_spans
from yearling.store import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeClaim:
    """A claim about a passage. `right` are the sentences of the passage that have the answer, as ranges."""

    source: str
    form: str
    text: str
    passage: int
    question: int
    """The place of its question in the set."""
    right: tuple[Span, ...]
    alteration: str = ""
    altered: Span | None = None
    """Where the claim was altered."""


_HAN_ENDS = re.compile(
    r"(?:是|为|叫|叫做|在)(?:谁|什么|多少|哪里|哪儿|哪一年|哪年|什么时候|何时|哪个国家|哪个城市|什么地方)[？?]$"
)
_HAN_TIME = re.compile(r"(?:是在|在|于)?(?:哪一年|哪年|什么时候|何时|什么时间)")
_HAN_WHO = re.compile(r"(?:^谁|是由谁|由谁|被谁)")
_WHO = re.compile(r"^Who ([a-z]+ed|led|won|wrote|made|built|found|took|gave|became|began|held|said|had|was|is) ")
_WHAT_IS = re.compile(r"^(?:What|Who) (is|was|are|were) (.{8,})\?$")
_TYPES = {
    "person": re.compile(r"谁|\bwho\b", re.IGNORECASE),
    "place": re.compile(
        r"哪里|哪个国家|哪个城市|哪座城市|哪个省|什么地方|\bwhere\b|\b(?:what|which) (?:city|country|state)\b",
        re.IGNORECASE,
    ),
}
_HAN = re.compile("[\u3400-\u9fff]")
_NAME = re.compile(r"[A-Z][\w'’-]+(?: [A-Z][\w'’-]+)*")
_ENGLISH_NUMBERS = {
    2: "two",
    3: "three",
    4: "four",
    5: "five",
    6: "six",
    7: "seven",
    8: "eight",
    9: "nine",
    10: "ten",
    12: "twelve",
}
_HAN_NUMBERS = dict(zip(range(2, 11), "二三四五六七八九十", strict=True))


def make_claims(questions: QuestionSet, *, random_seed: int = 0) -> list[MadeClaim]:
    """The true claims, at most one of each form for a question."""
    source = random.Random(random_seed)
    claims = []
    for place, question in enumerate(questions.questions):
        right = right_sentences(question, questions.passages[question.passage])
        answer = question.answers[0][0]
        if not right or len(answer) > 40:
            continue
        sentence = questions.passages[question.passage][right[0].start : right[0].end]
        asked = _asked(question.text, answer)
        texts = {"copied": sentence, "asked": asked, "restated": _restated(sentence, answer, source)}
        claims += [
            MadeClaim(source=questions.name, form=form, text=text, passage=question.passage, question=place, right=right)
            for form, text in texts.items()
            if text
        ]
    return claims


def right_sentences(question: AnsweredQuestion, passage: str) -> tuple[Span, ...]:
    """The sentences that contain an annotated answer where it was annotated. CMRC's places may be off: the nearest one counts."""
    right = set()
    spans = sentence_spans(passage)
    for answer, start in question.answers:
        places = [match.start() for match in re.finditer(re.escape(answer), passage)]
        if not places:
            continue
        place = min(places, key=lambda other: abs(other - start))
        right |= {span for span in spans if span.start <= place and place + len(answer) <= span.end}
    return tuple(sorted(right))


def alter_number(claim: MadeClaim, source: random.Random) -> MadeClaim | None:
    """The claim with another number, None if it has none in digits."""
    numbers = [
        number
        for number in read_numbers(claim.text)
        if number.value.denominator == 1 and number.value > 1 and claim.text[number.start : number.end].strip().isdecimal()
    ]
    if not numbers:
        return None
    number = source.choice(numbers)
    value = int(number.value)
    other = value + source.choice([1, 2, 3, 7, 10]) if value < 1000 or source.random() < 0.7 else value * 10
    return _replaced(claim, "number", Span(number.start, number.end), str(other))


def alter_negation(claim: MadeClaim) -> MadeClaim | None:
    """The claim, denied."""
    if _HAN.search(claim.text):
        match = re.search(
            r"(?<![不就还都只也可但若凡便要算像总真老正乃])是(?![否不以非])|(?<=[^\W\d])(?:位于|成为|出生|成立|获得|参加|发行|担任|毕业|加入)",
            claim.text,
        )
        if match is None:
            return None
        if match[0] == "是":
            return _replaced(
                claim, "negation", Span(match.start(), match.end()), "不是", shown=Span(match.start(), match.start() + 1)
            )
        return _replaced(
            claim, "negation", Span(match.start(), match.end()), "没有" + match[0], shown=Span(match.start(), match.start() + 2)
        )
    match = re.search(r"\b(?:was|were|is|are|has|had|can|could|will|would)\b(?! not|n't| no )", claim.text)
    if match is None:
        return None
    word = match[0]
    start = match.end() + 1
    return _replaced(claim, "negation", Span(match.start(), match.end()), f"{word} not", shown=Span(start, start + 3))


def alter_name(claim: MadeClaim, names: Sequence[str], passage: str, source: random.Random) -> MadeClaim | None:
    """The claim with a name of another passage in the place of one of its own."""
    own = [name for name in names if name in claim.text]
    if not own:
        return None
    name = max(own, key=len)
    is_han = bool(_HAN.search(name))
    others = [
        other
        for other in names
        if other not in passage and bool(_HAN.search(other)) == is_han and not any(word in passage for word in other.split())
    ]
    if not others:
        return None
    start = claim.text.index(name)
    return _replaced(claim, "name", Span(start, start + len(name)), source.choice(others))


def names_of(questions: QuestionSet) -> dict[str, list[str]]:
    """The answers that are names, by type: those to questions for a person or a place."""
    names: dict[str, list[str]] = {}
    for question in questions.questions:
        answer = question.answers[0][0].strip("《》“”\"'.。")
        for kind, pattern in _TYPES.items():
            is_name = 2 <= len(answer) <= 8 if _HAN.search(answer) else bool(_NAME.fullmatch(answer))
            if pattern.search(question.text) and is_name and not re.search(r"[\d，。、和与]", answer):
                names.setdefault(kind, []).append(answer)
    return {kind: sorted(set(values)) for kind, values in names.items()}


def altered_claims(claims: Sequence[MadeClaim], questions: QuestionSet, *, random_seed: int = 0) -> Iterator[MadeClaim]:
    """Every alteration that a claim allows."""
    source = random.Random(random_seed)
    names = names_of(questions)
    for claim in claims:
        passage = questions.passages[claim.passage]
        candidates = [alter_number(claim, source), alter_negation(claim)]
        candidates += [alter_name(claim, values, passage, source) for values in names.values()]
        yield from (altered for altered in candidates if altered is not None)


def _replaced(claim: MadeClaim, alteration: str, span: Span, text: str, *, shown: Span | None = None) -> MadeClaim:
    return replace(
        claim,
        text=claim.text[: span.start] + text + claim.text[span.end :],
        alteration=alteration,
        altered=shown or Span(span.start, span.start + len(text)),
    )


def _asked(question: str, answer: str) -> str:
    """The question with the answer in place of its question word; empty where no rule fits."""
    if _HAN.search(question):
        for pattern in (_HAN_ENDS, _HAN_TIME, _HAN_WHO):
            match = pattern.search(question)
            if match is None:
                continue
            word = re.sub(r"谁|什么(?:时候|地方|时间)?|多少|哪里|哪儿|哪一?年|何时|哪个国家|哪个城市|[？?]", "", match[0])
            return re.sub(r"[？?]+$", "", question[: match.start()] + word + answer + question[match.end() :]) + "。"
        return ""
    match = _WHO.match(question)
    if match:
        return answer + question[3:].rstrip("?") + "."
    match = _WHAT_IS.match(question)
    if match:
        subject = match[2]
        return f"{subject[0].upper()}{subject[1:]} {match[1]} {answer}."
    return ""


def _restated(sentence: str, answer: str, source: random.Random) -> str:
    """The clause with the answer and its neighbour, introduced, with one number written in another way."""
    if _HAN.search(sentence):
        clauses = re.split(r"(?<=[，；,;])", sentence.rstrip("。！？"))
        ends = "。"
        introduction = source.choice(["据资料显示，", "文中提到，", "根据这份文件，", ""])
    else:
        clauses = re.split(r"(?<=[,;]) ", sentence.rstrip(".!?"))
        ends = "."
        introduction = source.choice(["According to the document, ", "The text says that ", "As stated there, ", ""])
    place = next((index for index, clause in enumerate(clauses) if answer in clause), None)
    if place is None:
        return ""
    kept = ("" if ends == "。" else " ").join(clauses[max(0, place - 1) : place + 1]).strip("，；,; ")
    return introduction + _with_other_digits(kept) + ends


def _with_other_digits(text: str) -> str:
    """The text with a number in other digits: small ones in words, large ones with separators, Chinese ones in full width."""
    for number in read_numbers(text):
        words = text[number.start : number.end]
        is_word = not re.search(r"[A-Za-z.,:-]$", text[: number.start]) and not re.match(r"[A-Za-z.,:-]", text[number.end :])
        if not words.isdecimal() or not words.isascii() or not is_word:
            continue
        value = int(words)
        is_han = bool(_HAN.search(text))
        following = text[number.end : number.end + 1]
        if is_han and following in ("年", "月", "日"):
            other = words.translate({48 + digit: 0xFF10 + digit for digit in range(10)})
        elif is_han:
            other = _HAN_NUMBERS.get(value, "") if following in ("个", "名", "人", "位", "张", "次", "岁") else ""
        else:
            other = _ENGLISH_NUMBERS.get(value, f"{value:,}" if value >= 10_000 else "") if following == " " else ""
        if other:
            return text[: number.start] + other + text[number.end :]
    return text
