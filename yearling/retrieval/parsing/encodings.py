"""Bytes to text: which encoding a text file has, and how sure that is. Runs in the child process.

A byte order mark decides, then valid UTF-8, which no other text is by accident. The rest are guesses, of which a warning tells:
UTF-16 without a mark (every other byte of ASCII is zero), UTF-8 with some damage, GB18030 (bytes in pairs of the common
characters of GB 2312), and Windows-1252, which agrees with Latin-1 wherever that has characters.
"""

from __future__ import annotations

import codecs
import re

from yearling.retrieval.parsing.text_builder import DocumentError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),  # begins like UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_DECLARED = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "x-gbk"), "gb18030"),
    **dict.fromkeys(("big5", "big5-hkscs"), "big5hkscs"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis", "x-sjis", "windows-31j"), "cp932"),
    **dict.fromkeys(("euc-jp", "x-euc-jp"), "euc_jp"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987", "windows-949"), "cp949"),
    **dict.fromkeys(("iso-8859-1", "latin1", "latin-1", "us-ascii", "ascii", "windows-1252", "cp1252"), "cp1252"),
    **{f"iso-8859-{part}": f"iso8859-{part}" for part in (*range(2, 12), *range(13, 17))},
    **{f"windows-{page}": f"cp{page}" for page in (1250, 1251, 1253, 1254, 1255, 1256, 1257, 1258, 874)},
    **dict.fromkeys(("koi8-r", "koi8-u"), "koi8_u"),
}
"""Encodings that a page may name, as browsers understand the names. Python's own list holds more than texts."""
_DECLARATION = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]{1,30})|<\?xml[^>]{0,100}?encoding\s*=\s*["']([\w.:-]{1,30})""", re.I
)
_SAMPLE_BYTES = 200_000
_COMMON_PAIR = re.compile(rb"[\xa1-\xa9\xb0-\xd7][\xa1-\xfe]")
_HIGH = re.compile(rb"[\x80-\xff]")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_NULLS_OF_UTF16 = 0.3
"""Share of zero bytes at the even or the odd places of a text in UTF-16 that is partly ASCII."""
_NULLS_OF_OTHER_HALF = 0.05
_MAX_CONTROLS = 0.1
"""Share of control characters above which a file is no text."""
_MIN_COMMON_PAIRS = 0.75
"""Share of the bytes beyond ASCII that are punctuation or the 3,755 common characters of GB 2312."""
_MAX_DAMAGE = 0.2
"""Damaged places per valid character beyond ASCII up to which a text counts as damaged UTF-8."""


def decode(content: bytes, *, has_declaration: bool = False) -> tuple[str, list[str]]:
    """(the text, warnings). `has_declaration`: the text is HTML, which may name its encoding. Raises DocumentError."""
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            return _replaced(content[len(mark) :], codec, name)
    if content.isascii() and not _CONTROLS.search(content):
        return content.decode("ascii"), []
    if has_declaration and (found := _DECLARATION.search(content[:2048])):
        declared = _DECLARED.get((found[1] or found[2]).decode("ascii").lower())
        if declared:
            return _replaced(content, declared, declared.upper())
    if codec := _utf16_without_mark(content):
        text, warnings = _replaced(content, codec, "UTF-16")
        return text, [*warnings, "The file does not say its encoding; it was read as UTF-16."]
    _refuse_binary(content)
    try:
        return content.decode("utf-8"), []
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            return content[: error.start].decode("utf-8"), ["The file ends in the middle of a character."]
    if text := _damaged_utf8(content):
        return text, ["The file is damaged: some bytes are not valid UTF-8 and were replaced."]
    if _is_gb18030(content):
        text, warnings = _replaced(content, "gb18030", "GB18030")
        return text, [*warnings, "The file does not say its encoding; it was read as GB18030."]
    try:
        text = content.decode("cp1252")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text, ["The file does not say its encoding; it was read as Latin-1."]


def _replaced(content: bytes, codec: str, name: str) -> tuple[str, list[str]]:
    try:
        return content.decode(codec), []
    except UnicodeDecodeError:
        return content.decode(codec, "replace"), [f"The file is damaged: some bytes are not valid {name} and were replaced."]


def _utf16_without_mark(content: bytes) -> str:
    """The codec, or nothing."""
    sample = content[:_SAMPLE_BYTES]
    if len(sample) < 4 or len(content) % 2:
        return ""
    half = len(sample) // 2
    even, odd = sample[::2].count(0) / half, sample[1::2].count(0) / half
    if odd > _NULLS_OF_UTF16 and even < _NULLS_OF_OTHER_HALF:
        return "utf-16-le"
    if even > _NULLS_OF_UTF16 and odd < _NULLS_OF_OTHER_HALF:
        return "utf-16-be"
    return ""


def _refuse_binary(content: bytes) -> None:
    sample = content[:_SAMPLE_BYTES]
    if len(_CONTROLS.findall(sample)) > _MAX_CONTROLS * len(sample):
        raise DocumentError(
            "The file is neither text nor of a format that can be read.",
            "Save it as PDF, DOCX, HTML, Markdown or plain text, and add that file.",
        )


def _damaged_utf8(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    num_damaged = text.count("\ufffd")
    num_valid = sum(1 for character in text[:_SAMPLE_BYTES] if character > "\x7f" and character != "\ufffd")
    return text if num_damaged <= max(num_valid * _MAX_DAMAGE, 0) else ""


def _is_gb18030(content: bytes) -> bool:
    sample = content[:_SAMPLE_BYTES]
    try:
        codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        return False
    num_high = len(_HIGH.findall(sample))
    # Accented letters of European texts stand alone; the characters of Chinese texts are pairs of high bytes, in runs.
    return 2 * len(_COMMON_PAIR.findall(sample)) >= _MIN_COMMON_PAIRS * num_high and num_high > 0
