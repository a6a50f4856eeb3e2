"""Words by which `names.py` tells names from other words. They are data: what is missing here only lets a name go unnoticed."""

from __future__ import annotations

import re

COMMON_STARTERS = frozenset(
    re.findall(
        r"\S+",
        """
        a about according additionally after all also although among an and another answer apr april are as at aug august
        based because before between both but by can could currently dec december did do does dr during each eight every feb
        february finally first five for four from furthermore had has have he her here his how however i if im in into is it
        its jan january jul july jun june like many mar march may meanwhile might moreover most mr mrs ms my nine no not note
        nov november oct october of ok okay on once one only or other our over overall per second sep sept september seven she
        should since sir six so some source sources such ten than that the their then there therefore these they third this
        those though three through thus to today two under until was we were what when where which while who why will with
        within without would yes you your
        """,
    )
)
"""Folded words whose capital says nothing, and those that dates are made of."""

SURNAMES = frozenset(
    "丁万丛严乔任伍何余侯俞倪傅冯刘劉卜卢叶吕吳吴呂周唐喬嚴夏姚姜孔孙孟季孫宋尹屈岳崔庄庞康廖张張彭徐戴方施曹曾朱李杜杨林柳梁梅楊樊"
    "欧歐武殷毕汤汪沈沿洪涂温湯潘焦熊牛牟王田畢盧石祁祝秦程章管纪罗羅翟耿聂聶肖胡芦苏范莊莫萧葉葛董蒋蔡蔣薛蘇袁許詹謝譚许谢谭賀賈费贺贾赖"
    "赵趙辛邓邢邱邵邹郑郝郭鄒鄧鄭錢鍾钟钱關阎陆陈陳陶陸韋韓韦韩顏顧项顾颜馬馮马骆高魏鲁黃黄黎齊齐龍龔龙龚"
)
"""First characters of the commonest Chinese family names."""

COMMON_WORDS = frozenset(
    re.findall(
        r"\S+",
        """
        一家公司 一所大学 丁字 万一 万人 万元 万年 万里 上下 上任 上升 上台 上司 上层 上市 上映 上海 上游 上演
        上级 上述 上面 两国 严格 严肃 严重 乐队 乔迁 乡村 乡镇 他国 任何 任务 任命 任意 任教 任期 任职 伍长 何人
        何地 何处 何时 何种 何等 余下 余人 全国 全市 全球 全省 共和国 关于 关心 关押 关注 关系 关联 关键 关闭
        军队 农村 分公司 剧院 医院 协会 叶子 司令 司机 司法 各县 各国 各大学 各州 各省 向上 向下 向前 向导 向来
        周围 周年 周期 周边 唐代 唐朝 团队 园区 国会 国家 地区 城市 城镇 夏令 夏天 夏季 夏朝 外国 多国 多家公司
        大会 大学 大队 委员会 子公司 季军 季节 学院 宋代 宋朝 小区 小队 屈服 山区 左侧 左右 左手 左边 帝国 平台
        庄严 庄园 康复 康熙 建国 影院 总公司 我国 文件 文化 文字 文学 文明 文物 文献 文科 文章 文艺 方便 方向
        方式 方才 方案 方法 方面 施工 施行 易于 易学 曾任 曾经 本公司 本县 本国 本州 本市 本站 本队 林业 林木
        校区 梁柱 欧洲 武器 武术 段时 段落 母公司 毕业 毕竟 毛病 水平 汉朝 江湖 汤汁 沿海 沿着 法院 涂料 温和
        温度 温暖 温泉 熊猫 爱国 牛奶 牛肉 王国 球队 田径 电台 电视台 白色 石器 石头 石油 社区 祖国 祝福 祝贺
        秦朝 程序 程度 章程 章节 管理 管辖 纪录 纪律 纪念 网站 耿直 胡同 胡须 舞台 舰队 苏醒 范围 范畴 莫名 街区
        议会 许可 许多 许愿 该公司 该队 诸多 谢幕 谷物 费劲 费用 贺岁 超市 路程 路线 车站 车队 部队 都市 金属
        钱财 银行 阳台 项目 顾客 顾问 马上 马力 马匹 马路 马车 高中 高低 高兴 高原 高层 高峰 高度 高校 高温 高潮
        高等 高级 高考 高达 高速 高铁 黄色 黄金 齐全 龙卷 龙头 龙舟
        """,
    )
)
"""Words that begin like a surname, or end like a place or an organisation, and are no names."""

NAME_ENDINGS = tuple(
    re.findall(
        r"\S+",
        """
        天皇 皇帝 国王 女王 公爵 亲王 共和国 自治区 委员会 电视台 俱乐部 大学 公司 集团 学院 银行 医院 乐队 中学 小学 出版社 报社
        协会 机场 车站
        王朝 半岛 群岛 省 市 县 區 区 州 镇 鎮 乡 鄉 村 岛 島 河 湖 山 寺 庙 廟 街 路 港 桥 橋
        """,
    )
)
"""Endings of places and organisations, the longest first. At least two characters stand in front."""

TRANSLITERATION = (
    "阿埃艾安奥巴贝比伯布查达德蒂丁杜多厄尔恩法菲费芬弗福盖冈格哈海汉赫霍基吉加杰卡凯坎康科克库拉莱兰劳勒雷里利林卢鲁伦罗洛马玛迈曼梅门米姆木穆纳"
    "娜内尼努诺帕佩皮普奇齐乔切琼丘瑞萨塞桑沙舍什史斯丝索塔泰坦唐特提图托瓦威维韦温沃乌西希夏肖谢辛雅亚扬耶伊因尤约扎詹朱佐兹莎茨顿逊森隆登珀珍妮"
    "丽莉露茜蕾茉薇娅琳黛戴戈肯密翰文若保逸娃汀斐弥钦铎蓓瓜辉堡敦"
)
"""Characters that foreign names are written with."""

PLACES = frozenset(
    re.findall(
        r"\S+",
        """
        上海 东京 中国 丹麦 乌克兰 乌鲁木齐 云南 亚洲 京都 以色列 伊拉克 伊朗 伦敦 俄国 俄罗斯 元朝 兰州 内蒙古
        冰岛 加拿大 匈牙利 北京 北美 北美洲 华盛顿 南京 南宁 南昌 南美 南美洲 南非 印尼 印度 印度尼西亚 厦门 古巴
        台中 台北 台南 台湾 合肥 吉林 周朝 呼和浩特 哈尔滨 唐朝 商朝 四川 土耳其 埃及 墨尔本 墨西哥 大洋洲 大连
        大阪 天津 太原 奥地利 孟买 宁夏 安徽 宋朝 尼泊尔 山东 山西 巴基斯坦 巴西 巴黎 希腊 广东 广州 广西 开封
        德国 悉尼 意大利 慕尼黑 成都 拉萨 挪威 捷克 斯里兰卡 新加坡 新疆 新西兰 日军 日本 旧金山 昆明 明朝 晋朝
        智利 曼谷 朝鲜 杭州 柏林 柬埔寨 欧洲 武汉 比利时 汉城 汉朝 江苏 江西 沈阳 沙特 河内 河北 河南 法国 波兰
        波士顿 泰国 洛杉矶 洛阳 济南 浙江 海南 海口 深圳 清朝 湖北 湖南 澳大利亚 澳洲 澳门 爱尔兰 瑞典 瑞士 甘肃
        石家庄 福州 福建 秘鲁 秦朝 纽约 维也纳 缅甸 罗马 美国 老挝 芝加哥 芬兰 苏州 苏格兰 苏联 英国 荷兰 莫斯科
        菲律宾 葡萄牙 蒙古 西宁 西安 西班牙 西藏 贵州 贵阳 越南 辽宁 郑州 重庆 银川 长安 长春 长沙 阿姆斯特丹
        阿富汗 阿根廷 陕西 隋朝 青岛 青海 非洲 韩国 首尔 香港 马德里 马来西亚 高雄 黑龙江
        """,
    )
)
"""Names of countries, provinces, large cities and dynasties."""
