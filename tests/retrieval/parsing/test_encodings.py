"""Which encoding a text has, with and without a mark."""

from __future__ import annotations

import pytest

from tests.retrieval.parsing.samples import read
from yearling.retrieval.parsing.encodings import decode
from yearling.retrieval.parsing.text_builder import DocumentError

CHINESE = "中文文本的编码需要小心判断，否则用户看到的都是乱码。2026年，第一版。\n"
EUROPEAN = "Das Café in Zürich überzeugt: façade, señor, œuvre, Straße, naïveté.\n"


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_and_valid_texts_need_no_guess(codec: str) -> None:
    assert decode((CHINESE + EUROPEAN).encode(codec)) == (CHINESE + EUROPEAN, [])


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_seen_by_its_zeros(codec: str) -> None:
    text = "Some English words and 中文.\r\n"
    assert decode(text.encode(codec)) == (text, ["The file does not say its encoding; it was read as UTF-16."])


@pytest.mark.parametrize(
    ("text", "codec", "name"),
    [
        (CHINESE, "gb18030", "GB18030"),
        ("Mixed English words with 一点中文 inside of them.\n", "gbk", "GB18030"),
        ("错别字", "gb2312", "GB18030"),
        (EUROPEAN, "cp1252", "Latin-1"),
        ("Größe\n", "latin-1", "Latin-1"),
        ("“Quoted” – with €5…", "cp1252", "Latin-1"),
        ("ÀÉÎÕÜ àéîõü ÀÈÌ", "latin-1", "Latin-1"),
    ],
)
def test_texts_without_a_mark_are_guessed_with_a_warning(text: str, codec: str, name: str) -> None:
    assert decode(text.encode(codec)) == (text, [f"The file does not say its encoding; it was read as {name}."])


def test_every_character_of_gb18030_survives_beside_common_ones() -> None:
    text = CHINESE * 5 + "㐀𠀀龥镕喆"
    assert decode(text.encode("gb18030"))[0] == text


def test_damaged_utf_8_stays_utf_8() -> None:
    content = (CHINESE * 3).encode()
    text, warnings = decode(content[:31] + b"\xff\xfe" + content[33:])
    assert CHINESE in text
    assert "\ufffd" in text
    assert warnings == ["The file is damaged: some bytes are not valid UTF-8 and were replaced."]


def test_a_text_that_ends_within_a_character_loses_only_that() -> None:
    text, warnings = decode(CHINESE.strip().encode()[:-1])
    assert text == CHINESE.strip()[:-1]
    assert warnings == ["The file ends in the middle of a character."]


def test_a_few_zeros_are_removed_and_many_are_no_text() -> None:
    assert read(b"ab\0cd plain words and some more of them\0", "a.txt").text == "abcd plain words and some more of them"
    with pytest.raises(DocumentError, match="neither text"):
        read(bytes(range(256)) * 10, "a.txt")
