/** Technical words, explained where they stand. */
import { addStrings } from '../table';

export const TERMS = addStrings({
  'term.explain': ['what does this mean?', '这是什么意思？'],
  'term.lesson': [
    'A lesson is one example to learn from: an answer that people found good or bad, a choice between two answers, or a better wording that somebody wrote.',
    '一条课程就是一个可供学习的例子：一个大家认为好或不好的回答、两个回答之间的选择，或某人写出的更好的说法。',
  ],
  'term.lessonSet': [
    'A lesson set is a frozen collection of lessons. It never changes afterwards, so that everybody can check what a model learnt from.',
    '课程集是一批冻结的课程，此后不再改变，因此人人都能查证模型学了什么。',
  ],
  'term.heldOut': [
    'Held out means kept back: the model never learns from these examples, so they show whether it learnt something that holds elsewhere, too.',
    '“留出”是指特意留下不用：模型从不学习这些例子，因此它们能显示模型学到的东西是否也适用于别处。',
  ],
  'term.training': [
    'In a training run, a copy of the model goes through the lessons and changes a little with each one. The model in use stays as it is.',
    '在一次训练中，模型的一个副本逐条学习课程，每次都改变一点。正在使用的模型保持不变。',
  ],
  'term.bridging': [
    'Bridging means agreement between people who usually disagree. Where people form two sides, the less convinced side decides.',
    '“跨越分歧”是指意见常常相左的人取得一致。在人们分成两方时，由较不认可的一方决定。',
  ],
  'term.sides': [
    'Sides are groups of people who judge alike, found from the judgements alone. Nobody chooses a side, and the page never says who is on which.',
    '“方”是评价相近的人群，只根据评价得出。没有人选择站在哪一方，页面也从不显示谁属于哪一方。',
  ],
  'term.q': [
    'q is the probability that the judgement is right, from one half (nobody knows) to one (certain). With few ratings it stays near one half.',
    'q 是判断正确的概率，从二分之一（无人知晓）到一（确定）。评价很少时，它接近二分之一。',
  ],
  'term.weight': [
    'The weight says how much a model learns from an example, from 0 (nothing) to 1. It follows from q: the surer people are, the more.',
    '权重表示模型从一个例子中学到多少，从 0（什么也不学）到 1。它由 q 得出：人们越确定，权重越大。',
  ],
  'term.qName': ['Probability (q)', '概率（q）'],
  'term.counts': [
    'Judgements of people who were invited count at once. Those of an account from open sign-up, and imported ones, count after three judgements of other people’s items that are decided, and then the earlier ones as well.',
    '受邀成员的评价立即计入。自行注册的账户和导入的评价，在评价过三项他人的、已有定论的内容之后计入，此前的评价也一并计入。',
  ],
  'term.interval': [
    'The true difference lies in the 95 % interval in 19 of 20 cases. If the interval reaches across zero, chance may explain the difference.',
    '真实差值在 20 次中有 19 次落在 95% 置信区间之内。若区间跨过零，差值可能只是偶然。',
  ],
  'term.clause': [
    'A clause is one rule about the assistant’s behaviour, with a reason, examples, and cases that check it.',
    '一个条款就是一条关于助手行为的规则，附有理由、示例和检验用例。',
  ],
  'term.release': [
    'A release is a model that people signed, with a number and a date. It never changes afterwards, so one can always go back to it.',
    '“发布”是经人签名的模型，带有编号和日期。此后不再改变，因此随时可以退回。',
  ],
  'term.holder': [
    'A key-holder is a person whose signature counts when another model is to answer. Several can be required, so that nobody decides alone.',
    '“持钥人”是在更换回答模型时签名有效的人。可以要求多人签名，使任何人都不能独自决定。',
  ],
  'term.canary': [
    'A trial gives a new model to a few people first, and stops by itself if its answers are worse. The field calls it a canary.',
    '“试用”让少数人先用新模型；如果回答变差，会自动停止。业内称之为“金丝雀发布”。',
  ],
  'term.proof': [
    'Proof means: on questions that it never learnt from, the new model was better by more than chance, and nothing that is checked got worse.',
    '“证实”是指：在从未学过的问题上，新模型好得不像偶然，而且受检的各项都没有变差。',
  ],
  'term.unverifiable': [
    'The model runs on another server. Its address is signed, but nobody here can see whether the model behind it was exchanged.',
    '该模型在另一台服务器上运行。地址经过签名，但这里无人能看出其背后的模型是否被更换。',
  ],
  'term.expiry': [
    'Signatures have an end date, so that an old list of models cannot be passed off as the current one. Renewing them changes nothing else.',
    '签名有截止日期，以免旧的模型清单被冒充为当前清单。续签不会改变其他任何内容。',
  ],
  'term.cpuTime': [
    'Processor time is how long the processor worked, added up over its cores: two cores that work for 3 seconds make 6 seconds.',
    '处理器时间是处理器工作的时长，各核心相加：两个核心各工作 3 秒，共计 6 秒。',
  ],
  'term.median': [
    'Half of the answers cost less than the median, and half cost more. A few very long answers do not move it.',
    '一半回答的花费低于中位数，一半高于它。少数特别长的回答不会影响它。',
  ],
  'term.merge': [
    'A merge joins what several installations learnt, after a test has shown that nothing is lost on the way.',
    '“合并”把多个系统学到的内容合在一起，事先须经测试证明没有丢失任何内容。',
  ],
  'term.publicLog': [
    'The public log has every judgement of an installation, without names and texts. Each entry contains a fingerprint of the one before: with the fingerprint of the newest, anybody can check later that nothing before it was changed.',
    '公开日志包含一个系统的全部评价，不含姓名和文字。每条都含有前一条的指纹：凭最新一条的指纹，人人都能事后查证之前的内容没有改动。',
  ],
  'term.auditLog': [
    'The audit log has one entry for every release, signature, stop and report. Each entry contains a fingerprint of the one before, so a changed or missing entry shows.',
    '审计日志为每次发布、签名、停用和报告各记一条。每条都含有前一条的指纹，因此改动或缺失都会显现。',
  ],
});
