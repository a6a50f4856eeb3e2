"""Negations of a claim: the words that deny something, and whether the source denies the same.

A negation of the claim is compared with the source near the words that it denies; where the source has none of those words,
any negation will do. A claim that repeats the source and leaves its negation out is found as well. Antonyms (rose, fell) are
not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from yearling.retrieval.citations.folding import HAN, fold_word, has_han
from yearling.store import Span

_ENGLISH = re.compile(
    r"\b(?:not(?!\s+only\b)|never|no(?!\.|\s+(?:one\s+)?(?:doubt|longer\s+than))|none|neither|nor|nobody|nothing|nowhere|without|cannot|unable"
    r"|(?:are|ca|could|did|does|do|had|has|have|is|must|need|sha|should|was|were|wo|would)n['’]t)(?!\w)",
    re.IGNORECASE,
)
_SUPPORTING = re.compile(
    r"\b(?:fail(?:s|ed|ing|ure)?\s+to|refus(?:e|es|ed|ing|al)|lack(?:s|ed|ing)?|absen(?:t|ce)|den(?:y|ies|ied|ial)|rather\s+than"
    r"|instead\s+of|hardly|rarely|reject(?:s|ed|ion)?|in(?:capable|ability|sufficient|valid|visible)|impossible)\b"
    r"|拒绝|失败|缺乏|缺少|避免|禁止|难以|取消|否认|罕|少有",
    re.IGNORECASE,
)
"""Words that deny without being a negation. In the source, they support one."""
_CHINESE = re.compile(
    r"不(?!同(?!意)|[仅但过断少久丹列锈倒止只单管论料禁妨如及由])(?<![差要])|没(?![收落])|沒|(?<!所)未(?![来來必知婚成])|无(?![线锡论双数非疑极穷机轨忌限量名私])|無"
    r"|(?<![是除莫若])非(?![洲常凡法物同典])|从未|并非|(?<![特区级辈个性派类差识鉴分离告送])别(?![人墅名称的处致墅院号出针样])|(?<!是)否(?![则])|莫(?=不|非要)"
)
_WORDS = re.compile(rf"[{HAN}]|[^\W{HAN}_]+(?:['’][^\W{HAN}_]+)?")
_REACH = 5
"""Words behind a negation that it denies; it may also stand one or two words behind them."""
_FUNCTION_WORDS = frozenset(
    [
        "a",
        "an",
        "the",
        "be",
        "been",
        "being",
        "is",
        "are",
        "was",
        "were",
        "do",
        "does",
        "did",
        "has",
        "have",
        "had",
        "to",
        "of",
        "in",
        "on",
        "at",
        "for",
        "by",
        "it",
        "its",
        "and",
        "or",
        "的了是在有过被会能可以",
    ]
) | set("的了是在有过被会能可以着也都就又而")


def missing_negations(claim: str, sources: Sequence[str]) -> list[Span]:
    """Ranges of the claim: negations that no source has, and pairs of words between which the source has one."""
    missing = []
    is_same_language = any(has_han(claim) == has_han(source) for source in sources)
    for negation in find_negations(claim):
        denied = _words_after(claim, negation.end)
        is_inserted = any(_is_inserted(claim, negation, source) for source in sources)
        if is_inserted or not any(_denies(source, denied, is_same_language=is_same_language) for source in sources):
            missing.append(negation)
    if not missing:
        missing += [span for source in sources for span in _dropped_negations(claim, source)]
    return sorted(set(missing))


def find_negations(text: str) -> list[Span]:
    """The words that deny something. Two Chinese ones in a row (不得不, 无不) affirm, and are none."""
    found = [Span(match.start(), match.end()) for pattern in (_ENGLISH, _CHINESE) for match in pattern.finditer(text)]
    found.sort()
    kept: list[Span] = []
    for span in found:
        if kept and has_han(text[span.start : span.end]) and span.start - kept[-1].end <= 1 and has_han(text[kept[-1].end - 1]):
            kept.pop()
            continue
        kept.append(span)
    return kept


def _words_after(text: str, place: int) -> list[str]:
    words = []
    for match in _WORDS.finditer(text, place):
        word = fold_word(match[0])
        if word not in _FUNCTION_WORDS:
            words.append(word)
        if len(words) == 3:
            break
    return words


def _denies(source: str, denied: Sequence[str], *, is_same_language: bool) -> bool:
    """Whether a source denies the words; any negation will do where it has none of them."""
    negations = [*find_negations(source), *(Span(match.start(), match.end()) for match in _SUPPORTING.finditer(source))]
    if not negations:
        return False
    words = [(fold_word(match[0]), match.start()) for match in _WORDS.finditer(source)]
    places = [index for index, (word, _) in enumerate(words) if word in denied]
    if not places or not is_same_language:
        return True
    denying = [
        index
        for index, (word, start) in enumerate(words)
        if any(span.start < start + len(word) and start < span.end for span in negations)
    ]
    return any(-2 <= place - index <= _REACH for index in denying for place in places)


def _is_inserted(claim: str, negation: Span, source: str) -> bool:
    """Whether the source has the words around the negation side by side, and never with a negation between them."""
    before = [fold_word(match[0]) for match in _WORDS.finditer(claim, max(0, negation.start - 60), negation.start)][-2:]
    after = [fold_word(match[0]) for match in _WORDS.finditer(claim, negation.end, negation.end + 60)][:2]
    if not before or not after or len(before) + len(after) < 3:
        return False
    words = [fold_word(match[0]) for match in _WORDS.finditer(source)]
    runs = [[before[-1], *after]] if len(after) == 2 else []
    if len(before) == 2:
        runs.append([*before, after[0]])
    if len(before) == 2 and len(after) == 2 and not claim.isascii():
        runs = [[*before, *after]] if has_han(before[0] + before[1] + after[0] + after[1]) else runs
    return any(words[place : place + len(run)] == run for run in runs for place in range(len(words) - len(run) + 1))


def _dropped_negations(claim: str, source: str) -> list[Span]:
    """Two words that stand side by side in the claim, and in the source only with a negation between them."""
    negations = find_negations(source)
    if not negations:
        return []
    claim_words = [(fold_word(match[0]), match.start(), match.end()) for match in _WORDS.finditer(claim)]
    pairs = {(first[0], second[0]): Span(first[1], second[2]) for first, second in pairwise(claim_words)}
    dropped = []
    source_words = [(fold_word(match[0]), match.start(), match.end()) for match in _WORDS.finditer(source)]
    together = {(first[0], second[0]) for first, second in pairwise(source_words)}
    for negation in negations:
        before = [word for word, _, end in source_words if end <= negation.start][-3:]
        after = [word for word, start, _ in source_words if start >= negation.end][:3]
        if len(before) < 2 or len(after) < 2:
            continue
        pair = (before[-1], after[0])
        is_repeated = (before[-2], before[-1]) in pairs and (after[0], after[1]) in pairs
        if pair in pairs and pair not in together and is_repeated:
            dropped.append(pairs[pair])
    return dropped
