"""The one reader of numbers, on a table of cases in English and Chinese, and on what is not a number."""

from __future__ import annotations

import json
import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evals.test_graders import data_folder
from yearling.checks import final_number, parse_number, plain_digits, read_numbers
from yearling.checks.numbers import MAX_DIGITS, MAX_TEXT_CHARS

ENGLISH = [
    ("$9{,}500", 9500),
    ("#### −5", -5),
    ("#### $1,234\nThat is 2 more.", 1234),
    ("70 000", 70000),
    ("She pays \\$9,500 in all.", 9500),
    ("9\\,500", 9500),
    ("9,\\!500", 9500),
    ("１２３", 123),
    ("１，２３４", 1234),
    ("-5", -5),
    ("－５", -5),
    ("–5", -5),
    ("5-3", 3),
    ("5 - 3", 3),
    ("COVID-19", 19),
    ("a range of 5–10", 10),
    ("$-5", -5),
    ("-$5", -5),
    ("−$5.50", Fraction("-11/2")),
    ("1.234,56", Fraction("30864/25")),
    ("1.234.567", 1234567),
    ("3.14", Fraction("157/50")),
    (".5", Fraction("1/2")),
    ("-.5", Fraction("-1/2")),
    ("1,23,456", 123456),
    ("3, 5", 5),
    ("3,5", 5),
    ("12,345,678", 12345678),
    ("1 234 567", 1234567),
    ("1234 567", 567),
    ("1/2", Fraction("1/2")),
    ("2 1/2", Fraction("5/2")),
    ("\\frac{3}{4}", Fraction("3/4")),
    ("-\\frac{3}{4}", Fraction("-3/4")),
    ("2\\frac{1}{2}", Fraction("5/2")),
    ("½", Fraction("1/2")),
    ("1½", Fraction("3/2")),
    ("24/0", 24),
    ("2020/01/02", 2),
    ("50%", 50),
    ("50\\%", 50),
    ("1e3", 1000),
    ("1.5E-2", Fraction("3/200")),
    ("1.5×10^3", 1500),
    ("1.5 \\times 10^{3}", 1500),
    ("2×10³", 2000),
    ("1e999", None),
    ("3 million", 3000000),
    ("1.2 billion dollars", 1200000000),
    ("5k", 5000),
    ("5 km", 5),
    ("five hundred", 500),
    ("twenty-four", 24),
    ("minus five", -5),
    ("No one knows.", None),
    ("one hundred and five", 105),
    ("two point five", Fraction("5/2")),
    ("two three", None),
    ("three thousand two hundred", 3200),
    ("The answer is 42. It took 3 steps.", 42),
    ("The answer is 3 + 4 = 7.", 7),
    ("**Answer:** 12 apples, 3 each", 12),
    ("\\boxed{\\$1{,}234}", 1234),
    ("\\boxed{x = -3}", -3),
    ("so \\(\\boxed{\\frac{1}{2}}\\) of 10", Fraction("1/2")),
    ("#### Step 1: add\nfoo\n#### 42", 42),
    ("#### Step 2: add\nSo the total is 12", 12),
    ("#### 12/3 = 4", 4),
    ("####\n7", 7),
    ("#### The answer is 18 eggs", 18),
    ("#### **18**", 18),
    ("#### eighteen", 18),
    ("3 + 4 = 7\n#### 1,234", 1234),
    ("so she pays $18.50.", Fraction("37/2")),
    ("none", None),
    ("#### 70 000", 70000),
    ("#### ", None),
    ("10:30", 30),
    ("$1,000,000.00", 1000000),
    ("1,2345", 2345),
    ("He has -5 and + 6", 6),
    ("x^2 + 1", 1),
    ("1'000'000", 1000000),
    ("3\n1/2", Fraction("1/2")),
    ("0\n/0", 0),
    ("Total: 5\nthousand thanks", 5),
    ("Each costs $5. Total: $5 * 3 = $15", 15),
    ("¥3,200", 3200),
    ("price is 2 3/4 cups", Fraction("11/4")),
    ("5 / 2", Fraction("5/2")),
    ("99.", 99),
    ("(-4)", -4),
    ("=-4", -4),
    ("- 5 apples", 5),
]

CHINESE = [
    ("百分之五十", 50),
    ("百分之50", 50),
    ("3万", 30000),
    ("1.5亿", 150000000),
    ("3万5千", 35000),
    ("5千克", 5),
    ("5千米", 5),
    ("2万元", 20000),
    ("三百二十五", 325),
    ("两千", 2000),
    ("一万二千", 12000),
    ("一万二", 12000),
    ("九点五", Fraction("19/2")),
    ("负五", -5),
    ("三分之二", Fraction("2/3")),
    ("二〇二五", 2025),
    ("十五", 15),
    ("二十", 20),
    ("答案是五。", 5),
    ("三百五", 350),
    ("一百零五", 105),
    ("两亿三千万", 230000000),
    ("一起努力吧", None),
    ("十分感谢", None),
    ("答案是：８０元。检查了2次。", 80),
    ("答案：12\n\n第3步", 12),
    ("#### 答案：十八", 18),
    ("一共是 3,200 元。", 3200),
    ("答：18 个", 18),
    ("小明有两百块钱", 200),
    ("#### −５", -5),
    ("大约是1.2万人", 12000),
    ("三点五", Fraction("7/2")),
    ("百分之三十五", 35),
    ("负三分之一", Fraction("-1/3")),
    ("她统一了意见。", None),
    ("万一下雨", None),
    ("最终答案：四十二", 42),
    ("二十四小时", 24),
    ("五百万", 5000000),
    ("3亿2千万", 320000000),
    # Full-width digits and signs
    ("结果是－１２．５", Fraction("-12.5")),
]


@pytest.mark.parametrize(("text", "expected"), ENGLISH)
def test_results_in_english(text: str, expected: Fraction | int | None) -> None:
    assert final_number(text) == expected


@pytest.mark.parametrize(("text", "expected"), CHINESE)
def test_results_in_chinese(text: str, expected: Fraction | int | None) -> None:
    assert final_number(text) == expected


def test_numbers_keep_their_places() -> None:
    text = "He paid $1,234.50, 20% more than 3万."
    numbers = read_numbers(text)
    assert [(text[number.start : number.end], number.value, number.is_percent) for number in numbers] == [
        ("$1,234.50", Fraction("1234.5"), False),
        ("20%", 20, True),
        ("3万", 30_000, False),
    ]
    long = "x" * MAX_TEXT_CHARS + "7"
    assert [(number.start, number.value) for number in read_numbers(long)] == [(MAX_TEXT_CHARS, Fraction(7))]
    assert [number.value for number in read_numbers("90 percent, 百分之五", with_words=True) if number.is_percent] == [90, 5]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1,234", 1234), (" −5. ", -5), ("三百", 300), ("twelve", 12), ("5 apples", None), ("", None), ("3 4", None), ("x", None)],
)
def test_a_text_that_is_one_number(text: str, expected: int | None) -> None:
    assert parse_number(text) == expected


@pytest.mark.parametrize(
    "text",
    ["1" * (MAX_DIGITS + 1), "0." + "1" * MAX_DIGITS, "1e301", "1e-301", "1×10^999999"],
    ids=["digits", "decimals", "e", "-e", "^"],
)
def test_numbers_above_the_ceiling_are_not_read(text: str) -> None:
    assert final_number(text) is None
    assert final_number(f"{text} and 5") == 5


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1,",
        "1 ",
        "-",
        "1/",
        "9" * 20,
        "一",
        "one ",
        "10^",
        "####\n",
        "\\boxed{",
        "the answer is ",
        "\\frac{",
        "1 000 ",
        "三百",
        "(",
        "=1",
    ],
)
def test_reading_grows_no_faster_than_the_text(unit: str) -> None:
    def seconds(length: int) -> float:
        text = unit * (length // len(unit))
        started = time.process_time()
        final_number(text)
        return time.process_time() - started

    seconds(1000)
    assert seconds(40_000) < 8 * seconds(10_000) + 0.05


@given(st.text(alphabet="0123456789,.-−/%$ \\{}frac十百千万亿一二三点负分之#xe^kK×=½\n", max_size=200))
def test_no_text_raises(text: str) -> None:
    final_number(text)
    assert len(plain_digits(text)) == len(text)
    for number in read_numbers(text, with_words=True):
        assert 0 <= number.start < number.end <= len(text)


@given(st.text(max_size=100))
def test_no_unicode_raises(text: str) -> None:
    final_number(text)
    parse_number(text)


@given(st.integers(-(10**12), 10**12))
def test_integers_are_read_in_every_form(value: int) -> None:
    for text in (
        str(value),
        f"{value:,}",
        f"{value:,}".replace(",", " "),
        f"{value:,}".replace(",", "{,}"),
        f"#### {value:,}\nThat took 3 steps.",
    ):
        assert final_number(text.replace("-", "−")) == value


@pytest.mark.slow
def test_every_solution_of_gsm8k_gives_its_answer() -> None:
    folder = data_folder("gsm8k") / "gsm8k"
    for name in ("train.jsonl", "test.jsonl"):
        for line in (folder / name).read_text(encoding="utf-8").splitlines():
            solution = json.loads(line)["answer"]
            expected = Fraction(solution.rpartition("####")[2].replace(",", "").strip())
            assert final_number(solution) == expected
            assert final_number(f"The answer is {expected}. I checked it 2 times.") == expected
