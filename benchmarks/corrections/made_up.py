"""Corrections of invented firms, to fill a memory: none bears on a case that is measured."""

from __future__ import annotations

import random
from collections.abc import Callable

_SYLLABLES = "ba dor fen gil hes jun kor lim mar nes pol quin ros sel tam ul vor wen xan yor zel bri cla dre"
_DUTIES = (
    "travel bookings,visitor badges,parking permits,job interviews,tax returns,customs papers,"
    "trade fairs,phone contracts,window cleaning,lost property,patents,press enquiries,heating,"
    "safety shoes,eye tests,board minutes,spare parts,labels,forklifts,meter readings,uniforms,"
    "surveys"
)
_GOODS = "desk,stool,kettle,bowl,scarf,blanket,candle,mirror,umbrella,wallet,pen,notebook,tent,jacket,cushion,basket,teapot,frame"
_THINGS = (
    "label printer,drone,sewing machine,laminator,ladder,microscope,paper shredder,guitar,safe,telescope,tool box,vacuum cleaner"
)
_TOPICS = (
    "expense reports,holiday requests,overtime,sick notes,business trips,petty cash,refunds,"
    "discounts,warranties,passwords,code reviews,releases,price changes"
)
_HAN_NAMES = "岭桐屿澜峰荷岩湘渡禾砚竹霖舟泽晨苑汀"
_HAN_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋韩杨"
_HAN_DUTIES = (
    "差旅预订,办公用品,访客证,停车证,招聘面试,报税,展会,软件许可,窗户清洁,失物招领,专利,"
    "翻译,媒体采访,暖气,劳保鞋,体检,备件,标签,叉车,抄表,工服,问卷"
)
_HAN_GOODS = "书桌,凳子,水壶,围巾,毯子,蜡烛,镜子,雨伞,钱包,钢笔,笔记本,帐篷,外套,靠垫,茶壶"
_HAN_THINGS = "标签机,无人机,缝纫机,塑封机,急救箱,梯子,显微镜,碎纸机,吉他,保险柜,望远镜,工具箱,吸尘器,鱼缸"
_HAN_TOPICS = "报销,加班,出差,客餐,退货,退款,折扣,保修,代码评审,发布,调价"


def english_entries(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Questions with answers in English, no question twice."""
    rng = random.Random(seed)

    def name(syllables: int = 3) -> str:
        return "".join(rng.choice(_SYLLABLES.split()) for _ in range(syllables)).capitalize()

    def entry() -> tuple[str, str]:
        firm, person, number = name(), f"{name(2)} {name()}", rng.randrange(5, 400)
        duty, good, thing, topic = (rng.choice(words.split(",")) for words in (_DUTIES, _GOODS, _THINGS, _TOPICS))
        return rng.choice(
            [
                (f"Who is responsible for {duty} in {firm}?", f"{person} is responsible for {duty} in {firm}."),
                (f"What does the {firm} {good} cost?", f"The {firm} {good} costs {number} euros."),
                (f"Where is the {thing} of the {firm} team?", f"The {thing} of the {firm} team is on floor {number}."),
                (f"How long do we have for {topic} in {firm}?", f"For {topic} in {firm} we have {number} days."),
                (f"Who leads the project {firm}?", f"The project {firm} is led by {person}."),
                (f"Which form do I use for {topic} at {firm}?", f"For {topic} at {firm} use form {number}."),
                (f"What is the phone number of {person}?", f"The phone number of {person} is {number}."),
                (f"When was the branch in {firm} opened?", f"The branch in {firm} was opened in {1600 + number}."),
                (f"Which supplier delivers our {good}s for {firm}?", f"Those for {firm} are delivered by {name(2)}."),
            ]
        )

    return _distinct(entry, count)


def chinese_entries(count: int, *, seed: int = 0) -> list[tuple[str, str]]:
    """Questions with answers in Chinese, no question twice."""
    rng = random.Random(seed)

    def entry() -> tuple[str, str]:
        firm = "".join(rng.choice(_HAN_NAMES) for _ in range(2))
        person = rng.choice(_HAN_SURNAMES) + "".join(rng.choice(_HAN_NAMES) for _ in range(2))
        duty, good, thing, topic = (rng.choice(words.split(",")) for words in (_HAN_DUTIES, _HAN_GOODS, _HAN_THINGS, _HAN_TOPICS))
        number = rng.randrange(5, 900)
        return rng.choice(
            [
                (f"{firm}分部的{duty}归谁管？", f"{firm}分部的{duty}归{person}管。"),
                (f"{firm}{good}卖多少钱？", f"{firm}{good}卖{number}元。"),
                (f"{firm}组的{thing}放在哪里？", f"{firm}组的{thing}放在{number}号楼。"),
                (f"{firm}的{topic}期限是多久？", f"{firm}的{topic}期限是{number}天。"),
                (f"“{firm}项目”由谁主持？", f"{firm}项目由{person}主持。"),
                (f"{firm}的{topic}用哪张表？", f"{firm}的{topic}用{number}号表。"),
                (f"{person}的分机号是多少？", f"{person}的分机号是{number}。"),
                (f"{firm}门店是哪年开的？", f"{firm}门店是{1100 + number}年开的。"),
                (f"{firm}的{good}由哪家供货？", f"由{person}的公司供货。"),
            ]
        )

    return _distinct(entry, count)


def _distinct(make: Callable[[], tuple[str, str]], count: int) -> list[tuple[str, str]]:
    entries: dict[str, str] = {}
    while len(entries) < count:
        question, answer = make()
        entries.setdefault(question, answer)
    return list(entries.items())
