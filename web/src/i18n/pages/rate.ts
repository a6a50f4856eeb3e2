/** Strings of the Rate page and the report on raters. */
import { addStrings } from '../table';

export const RATE = addStrings({
  'nav.rate': ['Rate', '评价'],

  'keys.rate': ['Rate: first, second, the same; skip, undo', '评价：第一个、第二个、差不多；跳过、撤销'],

  'rate.lead': [
    'One thing at a time. What you choose teaches the assistant. Others see that somebody chose, never who.',
    '每次只看一个。你的选择会教助手怎样回答。别人只看得到有人作了选择，看不到是谁。',
  ],
  'rate.team': ['Your team agrees on {agreed} of {total}', '大家对 {total} 项中的 {agreed} 项意见一致'],
  'rate.judged': ['{judged} of {total} judged', '{total} 项中已评 {judged} 项'],
  'rate.today': ['You: {n} today', '你今天评了 {n} 项'],
  'rate.progress': ['Progress', '进度'],

  'rate.why.jury': ['You were drawn by lot to review this', '你被随机抽中评审此内容'],
  'rate.why.round': ['Part of the round “{title}”', '属于问答轮“{title}”'],
  'rate.why.roundOf': ['Part of a round of questions', '属于一个问答轮'],
  'rate.why.side_missing': [
    'People who judge like you have not judged this yet',
    '与你看法相近的人还没有评过',
  ],
  'rate.why.new': ['Nobody has judged this yet', '还没有人评过'],
  'rate.why.most_uncertain': ['Your judgement would change most here', '你的评价在这里最有分量'],
  'rate.whyThis': ['Why this one:', '为什么选这个：'],

  'rate.question': ['Question', '问题'],
  'rate.earlier': ['What was said before', '之前的对话'],
  'rate.earlierUser': ['Asked', '提问'],
  'rate.earlierAssistant': ['Answered', '回答'],
  'rate.noQuestion': ['The question is private.', '问题不公开。'],
  'rate.about': ['The answer that it is about', '所针对的回答'],
  'rate.aboutPrivate': ['The answer that it is about is private.', '所针对的回答不公开。'],
  'rate.pair': ['Which answer is better?', '哪个回答更好？'],
  'rate.answer': ['Is this answer helpful?', '这个回答有帮助吗？'],
  'rate.note': ['Is this note helpful?', '这条注记有帮助吗？'],
  'rate.edit': ['Is this reworded answer helpful?', '这个改写的回答有帮助吗？'],
  'rate.theAnswer': ['Answer', '回答'],
  'rate.theNote': ['Note', '注记'],
  'rate.theEdit': ['Reworded answer', '改写的回答'],
  'rate.first': ['First', '第一个'],
  'rate.second': ['Second', '第二个'],
  'rate.same': ['About the same', '差不多'],
  'rate.choose': ['Your judgement', '你的评价'],
  'rate.undone': ['Undone. It no longer counts.', '已撤销，不再计入。'],

  'rate.guessTitle': ['What will most others prefer?', '你觉得多数人会更喜欢哪个？'],
  'rate.guessTitleItem': ['What will most others say?', '你觉得多数人会怎么评？'],
  'rate.guessText': [
    'Only you see how well you know what others prefer. Your guess changes nothing else.',
    '只有你能看到自己猜得准不准。猜测不影响其他任何结果。',
  ],
  'rate.guessSkip': ['I do not know', '不知道'],
  'rate.guessThanks': ['Thank you. It counts once three others have judged.', '谢谢。等另外三个人评过之后就能见分晓。'],
  'rate.guessScore': ['You were right about what others prefer in {right} of {counted} {counted|case|cases}.', '你猜中了 {counted} 次中的 {right} 次。'],

  'rate.none': ['Nothing left to rate', '没有要评的了'],
  'rate.noneText': [
    'You have judged everything where your view would still teach something. New answers come when people let others rate theirs, or when somebody starts a round of questions.',
    '凡是你的看法还能教会助手一点东西的，你都评过了。有人允许他人评价自己的回答，或有人新建一个问答轮时，这里会出现新的内容。',
  ],
  'rate.noneJudged': ['{n} {n|judgement|judgements} just now. Thank you.', '刚才评了 {n} 项，谢谢。'],
  'rate.unskip': ['Show what you skipped ({n})', '显示跳过的内容（{n}）'],
  'rate.noneCompare': ['Ask a question and compare two answers', '提一个问题，对比两个回答'],
  'rate.reader': ['Your account can read, but not judge', '你的账户可以查看，但不能评价'],
  'rate.readerText': [
    'An owner or a maintainer can make you a member. Until then you can see what others agree on, and who they are as a group.',
    '所有者或维护者可以把你设为成员。在此之前，你可以查看大家的共识，以及评价者的整体情况。',
  ],

  'raters.lead': [
    'What the assistant learns comes from the people who judge. This page says how many they are, how evenly they judge, and whether they stand for everybody here. It names nobody.',
    '助手学到的东西来自作出评价的人。本页说明他们有多少人、评得是否均匀、能否代表这里的所有人，但不涉及任何人的姓名。',
  ],
  'raters.people': ['People who judge', '评价者'],
  'raters.peopleOf': ['of {n} {n|member|members}', '共 {n} 名成员'],
  'raters.fewer': ['fewer than 3', '少于 3 人'],
  'raters.judgements': ['Judgements', '评价'],
  'raters.outsiders': [
    '{n} more {n|person|people} in the log {n|has|have} no open account here: deleted, closed, or imported from elsewhere.',
    '记录中还有 {n} 人在这里没有可用账户：已删除、已关闭，或从别处导入。',
  ],
  'raters.hidden': [
    'Fewer than three people have judged. Any figure would say what a single person did, so there is none yet.',
    '评过的人不到三个。任何数字都会透露某一个人的做法，所以暂不显示。',
  ],
  'raters.never': ['{n} of {members} members have never judged.', '{members} 名成员中有 {n} 人从未评过。'],
  'raters.everybody': ['Every member has judged.', '每位成员都评过。'],
  'raters.spread': ['How evenly?', '评得均匀吗？'],
  'raters.busiest': [
    'The busiest person made {share} of all judgements.',
    '评得最多的一个人作出了全部评价的 {share}。',
  ],
  'raters.busiestMany': [
    'The busiest tenth ({n} people) made {share} of all judgements.',
    '评得最多的十分之一（{n} 人）作出了全部评价的 {share}。',
  ],
  'raters.effective': [
    'Taken together, the judgements are spread as if {n} {n|person|people} judged equally often.',
    '总的来看，评价的分布相当于 {n} 个人评得同样多。',
  ],
  'raters.agreement': ['How often do they agree?', '意见有多一致？'],
  'raters.agreementText': [
    '{n} times, two people judged the same thing. In {share} of these times they gave the same judgement.',
    '共有 {n} 次两个人评了同一项，其中 {share} 的评价相同。',
  ],
  'raters.agreementNone': [
    'Fewer than three people have judged what others judged, too.',
    '评过别人也评过的内容的人不到三个。',
  ],
  'raters.sides': ['Are there sides?', '有不同阵营吗？'],
  'raters.sidesNone': [
    'No sides are visible: people differ here and there, but not in two camps.',
    '看不出阵营：大家偶有分歧，但没有分成两派。',
  ],
  'raters.sidesText': [
    'People divide into two sides of {a} and {b} people: who differs on one thing tends to differ on others, too. Then the assistant learns only what both sides agree on.',
    '大家分成了两派，分别有 {a} 人和 {b} 人：在一件事上有分歧的人，往往在其他事上也有分歧。此时助手只学习双方都同意的内容。',
  ],
  'raters.sidesWithout': [
    '{n} {n|person is|people are} on neither side, because {n|they have|they have} judged little so far.',
    '另有 {n} 人不属于任何一派，因为他们评得还不多。',
  ],
  'raters.represent': ['Do they stand for everybody?', '能代表所有人吗？'],
  'raters.representNone': [
    'The groups are too small to compare without saying what single people did. Nothing else is known about people here.',
    '各组人数太少，一比较就会透露个人的做法。除此之外，这里对人没有其他了解。',
  ],
  'raters.group': ['Members', '成员'],
  'raters.groupJudged': ['Have judged', '评过的人'],
  'raters.groupName': ['Group', '组'],
  'raters.admin': ['Owners and maintainers', '所有者和维护者'],
  'raters.member': ['Other members', '其他成员'],
  'raters.new': ['Joined in the last 30 days', '近 30 天加入'],
  'raters.old': ['Joined earlier', '更早加入'],
  'raters.guesses': ['Do you know what others prefer?', '你了解别人的喜好吗？'],
  'raters.guessesNone': [
    'While you rate, you are now and then asked what most others will prefer. Once three others have judged it, this page says how often you were right. Only you see that.',
    '评价时，偶尔会请你猜多数人更喜欢哪个。等另外三个人评过之后，本页会显示你猜中的次数。只有你能看到。',
  ],
  'raters.guessesWaiting': [
    '{n} of your guesses {n|waits|wait} until three others have judged.',
    '你的 {n} 次猜测还要等另外三个人评过。',
  ],
  'raters.guessesOnly': ['Only you see this.', '只有你能看到。'],
  'raters.rate': ['Rate', '去评价'],
});
