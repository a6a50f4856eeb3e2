"""Numbers, dates, names and negations of a claim beside one sentence."""

from __future__ import annotations

import pytest

from tests.retrieval.citations.sources import read
from yearling.retrieval.citations.facts import SourceFacts, missing_words, read_facts


def _missing(claim: str, *sources: str) -> list[tuple[str, str]]:
    found = missing_words(claim, read_facts(claim, read), [SourceFacts.read(source, read) for source in sources])
    assert all(claim[each.span.start : each.span.end] == each.text for each in found)
    return [(each.text, each.kind) for each in found]


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("It has 1,234,567 people.", "共有1234567人。"),
        ("It has １２３４ rooms.", "It has 1 234 rooms."),
        ("一千二百三十四人", "1,234 people"),
        ("twenty-five percent", "25%"),
        ("百分之二十五", "25 per cent of them"),
        ("3万5千元", "35,000元"),
        ("$9.5 million", "950万美元"),
        ("1.5 km", "1,500 metres"),
        ("两公斤", "2000 g"),
        ("8 August 2008", "2008年8月8日"),
        ("2008-08-08", "August 8th, 2008"),
        ("二〇〇八年八月", "on 8 Aug. 2008"),
        ("in 2008", "2008年3月"),
        ("on 10 May 2013", "In 2013 he left. On 10 May he came back."),
        ("5月10日", "2013年3月他受伤，直到5月10日"),
        ("the 70's", "in the early 1970s"),
        ("第3届", "第三届"),
        ("the third time", "for the 3rd time"),
        ("two of them", "both of them"),
        ("half of it", "50 of 100, one half"),
        ("He is one of the best, a first for him.", "He is among the best."),
        ("他是一名作家", "他是作家"),
    ],
)
def test_equal_numbers_and_dates_in_other_forms(claim: str, source: str) -> None:
    assert _missing(claim, source) == []


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("It weighs 5 kg.", "It weighs 5 g.", [("5 kg", "number")]),
        ("It costs €20.", "It costs $20.", [("€20", "number")]),
        ("It grew by 5%.", "It grew by 5 metres.", [("5%", "number")]),
        ("15", "1.5", [("15", "number")]),
        ("308", "1308 and 3080", [("308", "number")]),
        ("-5 degrees", "5 degrees", [("-5", "number")]),
        ("8 September 2008", "8 August 2008", [("September", "date")]),
        ("9 August 2008", "8 August 2008", [("9", "date")]),
        ("2009年8月8日", "2008年8月8日", [("2009", "date")]),
        ("8月9日", "9月8日", [("8", "date"), ("9", "date")]),
        ("8 kg", "2008年8月", [("8 kg", "number")]),
        ("第四届", "第三届", [("第四", "number")]),
        ("五艘船", "三艘船", [("五", "number")]),
        ("seven of them", "both of them", [("seven", "number")]),
    ],
)
def test_other_numbers_units_and_dates(claim: str, source: str, expected: list[tuple[str, str]]) -> None:
    assert _missing(claim, source) == expected


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("The American joined the NFL.", "He is from America and joined the National Football League."),
        ("He joined the National Football League.", "He joined the NFL."),
        ("Müller won.", "Muller won."),
        ("BRADFIELD supervised it.", "It was supervised by Bradfield."),
        ("Researchers found it.", "It was found."),
        ("Bradfield's work", "the work of Bradfield"),
        ("美国的军队", "美军"),
        ("这一方法获得成功，关于时间没有规定", "没有规定"),
        ("《红楼梦》", "他写了《红楼梦》"),
        ("约翰·史密斯出生了", "约翰・史密斯"),
    ],
)
def test_same_names_in_other_forms(claim: str, source: str) -> None:
    assert _missing(claim, source) == []


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("It was Anna Berg.", "It was Anna Stone.", [("Berg", "name")]),
        ("Einstein was born there.", "Newton was born there.", [("Einstein", "name")]),
        ("It lies in Germany.", "It lies in France.", [("Germany", "name")]),
        ("王小明出生于北京。", "李大伟出生于上海。", [("王小明", "name"), ("北京", "name")]),
        ("改编自《红楼梦》", "改编自《西游记》", [("红楼梦", "name")]),
        ("约翰·史密斯执导", "大卫·史密斯执导", [("约翰·史密斯", "name")]),
        ("他由后金保护", "他由巴西保护", [("后金", "name")]),
        ("由 Anna Berg 设计", "由 Tom Stone 设计", [("Anna", "name"), ("Berg", "name")]),
    ],
)
def test_other_names(claim: str, source: str, expected: list[tuple[str, str]]) -> None:
    assert _missing(claim, source) == expected


def test_names_of_another_script_are_not_compared() -> None:
    assert _missing("Bradfield supervised it in 1932.", "布拉德菲尔德于1932年监督了工程。") == []
    assert _missing("布拉德菲尔德监督了它。", "Bradfield supervised it.") == []


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("It was not sold.", "It wasn't sold."),
        ("It was never sold.", "It was not sold."),
        ("They did not arrive.", "They failed to arrive."),
        ("Not only he came.", "He came."),
        ("他没有参加", "他未参加"),
        ("他不同意", "他拒绝"),
        ("不得不说，他来了", "他来了"),
        ("这非常不错" + "，无锡很美", "这非常好，无锡不错"),
        ("He did not agree.", "他不同意。"),
    ],
)
def test_same_negation_in_other_words(claim: str, source: str) -> None:
    assert _missing(claim, source) == []


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("It was not sold.", "It was sold.", [("not", "negation")]),
        ("He did not agree.", "他同意。", [("not", "negation")]),
        ("他没有参加比赛", "他参加比赛", [("没", "negation")]),
        (
            "A prime is not a natural number that has no divisors.",
            "A prime is a natural number that has no divisors.",
            [("not", "negation")],
        ),
        ("The vote was in favour.", "The vote was not in favour.", [("was in", "negation")]),
        ("他们会同意这个计划", "他们会不同意这个计划", [("会同", "negation")]),
    ],
)
def test_added_and_dropped_negations(claim: str, source: str, expected: list[tuple[str, str]]) -> None:
    assert _missing(claim, source) == expected


def test_two_sources_complete_each_other() -> None:
    claim = "Anna Berg sold 12 of them in 1999."
    assert _missing(claim, "Anna Berg sold them.", "It was 12 in 1999.") == []
    assert _missing(claim, "Anna Berg sold them.") == [("12", "number"), ("1999", "number")]
