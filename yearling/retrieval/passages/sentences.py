"""Sentences of a text, in Chinese and English: what an answer cites.

A sentence is a range of code points. The ranges are sorted, never overlap, begin and end with a character that is no space, and
cover every such character of the text. The rules look at punctuation and at the words beside it, never at a model, so the same
text always has the same sentences:

- A Chinese full stop, question or exclamation mark ends a sentence. Marks that close a quotation belong to the sentence they
  close.
- A Latin full stop ends one only before a space, and not after an abbreviation or an initial, in a number, or before a word in
  lower case.
- An empty line ends a sentence, and so does a line end, unless the line was wrapped: the next word would not have fitted on it.
- What has no punctuation at all, such as a table or code, is cut at the best place within `MAX_SENTENCE_CHARS`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from yearling.store import Span

MAX_SENTENCE_CHARS = 1_000
"""Characters of the longest sentence. A longer one is cut."""

_MIN_WRAPPED_COLUMNS = 40
"""A line that was broken to fit a page is at least this wide; a wide character takes two columns."""

_WIDE = (
    "\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe4f\uff01-\uff60"
    "\U00020000-\U0003ffff"
)
_WIDE_CHARACTERS = re.compile(f"[{_WIDE}]")
_CLOSERS = "\"'”’」』）)\\]】》〉〕｝}"
_OPENERS = "“‘「『（(\\[【《〈〔｛{\"'"

_END_MARKS = re.compile(f"(?P<marks>[。！？｡।॥؟۔!?.．…]+)(?P<closers>[{_CLOSERS}]*)(?P<space>\\s*)")
_ALWAYS = re.compile("[。！？｡।॥؟۔]")
_LINE = re.compile(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]+")
_SPACES = re.compile(r"\s*")
_NEXT_WORD = re.compile(r"\S{1,40}")
_NEXT_START = re.compile(f"[{_OPENERS}\\s]{{0,8}}")
_LAST_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[.'’-])*$")
_NUMBER_OF_ITEM = re.compile(r"\s*[(（]?(?:\d{1,3}|[A-Za-z]|[ivxlcIVXLC]{1,5})(?:\.\d{1,3}){0,4}$")
_LIST_LINE = re.compile(
    r"\s*(?:[-*+•‣▪◦●○■□–—·>|#]+\s|[(（]?(?:\d{1,3}(?:\.\d{1,3})*|[A-Za-z]|[ivx]{1,4})[.)）、．]\s?(?!\d)"
    r"|[(（]?[一二三四五六七八九十百]{1,3}[)）、．]|第[一二三四五六七八九十百零\d]{1,5}[条章节篇]|[①-⑳])"
)
_SPEECH = re.compile("[^。！？，、；：…没不\\s“”「」]{0,4}[说道问答喊叫][。，：！？]")
"""What follows a Chinese quotation that its sentence goes on with: who said it."""
_CELLS = re.compile(r"\t| \| |\|$")
_CUTS = (re.compile(r"[;；]\s*"), re.compile(r"[,，、:：]\s*"), re.compile(r"\s+"))

# Words that end in a full stop in the middle of a sentence, whatever follows.
_ABBREVIATION = re.compile(
    r"mrs?|ms|dr|prof|rev|hon|sen|rep|gov|gen|col|maj|capt|lt|sgt|cmdr|adm|ste?|mt|messrs|mmes|pres|supt|[sj]r|mx|fr|ven"
    r"|e\.g|i\.e|cf|vs|viz|al|approx|ca|resp|esp|incl|a\.k\.a|n\.b|eqs?|refs?|ver|dept|univ|assn|bros|eds?|trans"
)
# Words that end in a full stop before a number.
_BEFORE_NUMBER = re.compile(
    r"n[or]s?|vols?|figs?|pp?|sect?|ch|chap|art|paras?|tab|app|v|op|cit|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec"
)
# Words that a new sentence may begin with after an initial or an abbreviation such as `U.S.`.
_STARTER = re.compile(
    r"(?:an?|the|its?|he|she|they|we|i|you|these|this|that|those|t?here|in|on|at|by|for|from|to|as|but|and|or|so|if|when|while"
    r"|after|before|since|although|though|because|however|moreover|meanwhile|therefore|thus|then|his|her|their|our|my|not?|what|who"
    r"|where|why|how|which|some|many|most|all|both|each|every|other|another|one|two|during|with|without|under|over)[.,;:!?'’\"”)]*"
)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)+[^\W\d_]")


def sentence_spans(text: str) -> list[Span]:
    """The sentences of a text. Linear in its length."""
    spans: list[Span] = []
    for start, end in _paragraphs(text):
        for sentence_start, sentence_end in _sentences_of_paragraph(text, start, end):
            spans.extend(_trimmed_pieces(text, sentence_start, sentence_end))
    return spans


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Ranges of the text that no sentence crosses: lines, or several where one line is wrapped over them."""
    block: list[tuple[int, int]] = []
    for match in _LINE.finditer(text):
        if match[0].isspace():
            yield from _unwrap(text, block)
            block = []
            continue
        if block and _num_line_ends(text, block[-1][1], match.start()) > 1:
            yield from _unwrap(text, block)
            block = []
        block.append((match.start(), match.end()))
    yield from _unwrap(text, block)


def _num_line_ends(text: str, start: int, end: int) -> int:
    gap = text[start : min(end, start + 4)]
    return len(gap) - gap.count("\r\n")


def _unwrap(text: str, lines: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Join the lines of a block that were one before somebody wrapped them."""
    if not lines:
        return
    widths = [_columns(text, start, end) for start, end in lines]
    widest = max(widths)
    paragraph_start, paragraph_end = lines[0]
    for (start, end), width, (next_start, next_end) in zip(lines, widths, lines[1:], strict=False):
        if not _is_wrapped(text, start, end, next_start, next_end, free_columns=widest - width, width=width):
            yield paragraph_start, paragraph_end
            paragraph_start = next_start
        paragraph_end = next_end
    yield paragraph_start, paragraph_end


def _columns(text: str, start: int, end: int) -> int:
    line = text[start:end].rstrip()
    return len(line) if line.isascii() else len(line) + sum(1 for _ in _WIDE_CHARACTERS.finditer(line))


def _is_wrapped(text: str, start: int, end: int, next_start: int, next_end: int, *, free_columns: int, width: int) -> bool:
    """Whether the sentence of a line may go on in the next one."""
    if width < _MIN_WRAPPED_COLUMNS or _LIST_LINE.match(text, next_start, next_end):
        return False
    if _CELLS.search(text, start, end) or _CELLS.search(text, next_start, next_end):
        return False
    word = _NEXT_WORD.search(text, next_start, next_end)
    if word is None:
        return False
    if text[word.start()].islower():
        return True
    # Chinese may be broken between any two characters, but not before a mark.
    needed = 4 if _WIDE_CHARACTERS.match(word[0]) else len(word[0]) + 1
    return needed > free_columns


def _sentences_of_paragraph(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    sentence_start, counted, num_quotes = start, start, 0
    for match in _END_MARKS.finditer(text, start, end):
        num_quotes += text.count('"', counted, match.start())
        counted = match.start()
        if match.end() >= end or not _ends_sentence(text, sentence_start, match, end):
            continue
        sentence_end = match.end("closers")
        quote = match["closers"].find('"')
        if quote >= 0 and num_quotes % 2 == 0 and not match["space"]:
            # A straight quotation mark that opens: none is open before it.
            sentence_end = match.start("closers") + quote
        yield sentence_start, sentence_end
        sentence_start = sentence_end
    yield sentence_start, end


def _ends_sentence(text: str, start: int, match: re.Match[str], end: int) -> bool:
    """Whether the marks end a sentence that began at `start`, given that text follows them."""
    marks, closers, has_space = match["marks"], match["closers"], bool(match["space"])
    after = match.end()
    if _ALWAYS.search(marks):
        return not (closers and not has_space and _SPEECH.match(text, after, end))
    following = _NEXT_START.match(text, after, end)
    first = following.end() if following else after
    next_character = text[first] if first < end else ""
    is_wide_next = bool(_WIDE_CHARACTERS.match(text, after, end))
    if not has_space:
        previous = text[match.start() - 1] if match.start() > start else ""
        beside_chinese = is_wide_next and not previous.isdigit()
        if "…" in marks or ".." in marks or not beside_chinese:
            return False
        if closers and _SPEECH.match(text, after, end):
            return False
    if next_character.islower():
        return False
    if marks not in (".", "．"):
        return True
    return not _is_abbreviation(text, start, match.start(), first, end, closed=bool(closers))


def _is_abbreviation(text: str, start: int, stop: int, first: int, end: int, *, closed: bool) -> bool:
    """Whether the full stop at `stop` belongs to the word before it, and the next word, at `first`, to the same sentence."""
    line_start = max(text.rfind("\n", start, stop) + 1, start)
    if stop - line_start <= 20 and _NUMBER_OF_ITEM.match(text, line_start, stop) and not closed:
        return True
    word = _LAST_WORD.search(text, max(start, stop - 24), stop)
    if word is None or closed:
        return False
    name = word[0].casefold()
    if _ABBREVIATION.fullmatch(name):
        return True
    next_word = _NEXT_WORD.match(text, first, end)
    if next_word is None:
        return False
    if _BEFORE_NUMBER.fullmatch(name) and next_word[0][0].isdigit():
        return True
    is_initial = len(name) == 1 and word[0].isupper() and word[0] != "I"
    return (is_initial or bool(_INITIALS.fullmatch(name))) and not _STARTER.fullmatch(next_word[0].casefold())


def _trimmed_pieces(text: str, start: int, end: int) -> Iterator[Span]:
    """The range without the spaces around it, in pieces of at most `MAX_SENTENCE_CHARS`."""
    while True:
        start = _skip_spaces(text, start, end)
        if start >= end:
            return
        if end - start <= MAX_SENTENCE_CHARS or len(text[start:end].rstrip()) <= MAX_SENTENCE_CHARS:
            yield Span(start, start + len(text[start:end].rstrip()))
            return
        cut = _best_cut(text, start, start + MAX_SENTENCE_CHARS)
        yield Span(start, start + len(text[start:cut].rstrip()))
        start = cut


def _skip_spaces(text: str, start: int, end: int) -> int:
    match = _SPACES.match(text, start, end)
    return match.end() if match else start


def _best_cut(text: str, start: int, limit: int) -> int:
    """The end of the first piece: after the last semicolon, comma or space in its second half, else at the limit."""
    middle = (start + limit) // 2
    for pattern in _CUTS:
        ends = [match.end() for match in pattern.finditer(text, middle, limit)]
        if ends:
            return ends[-1]
    return limit
