/** Strings of explanations: why an item has its status, and what people agree on. */
import { addStrings } from '../table';

export const EXPLANATIONS = addStrings({
  'teach.lead': [
    'Say which answers are good. What people agree on becomes a [[lesson|lesson]], a model trains on the lessons, and an exam shows whether it got better.',
    '说出哪些回答好。大家一致认可的内容成为[[课程|lesson]]，模型用课程训练，考试检验它是否变好。',
  ],
  'teach.rateText': [
    'Read one answer or two, and say what you think. One takes a few seconds.',
    '读一个或两个回答，说出你的看法，每次只需几秒。',
  ],
  'teach.roundsText': [
    'Everybody judges the same questions, each answered twice, until a goal is reached.',
    '所有人评判同一批问题，每个问题有两个回答，直到达成目标。',
  ],
  'teach.notesText': ['Add context that an answer lacks, and rate what others added.', '为回答补充背景，并评价他人的补充。'],
  'teach.compareText': [
    'Ask a question of your own, and choose the better of two answers.',
    '自己提一个问题，从两个回答中选出更好的。',
  ],
  'teach.inChat': [
    'The thumbs under an answer count too, and so does a better wording: choose “Edit the answer”. Others see an answer of yours only if you choose “Let others rate this” in the menu below it.',
    '回答下方的点赞和点踩也计入，改写也一样：选择“改写回答”。只有在回答下方的菜单中选择“让其他人评价”，别人才能看到你的回答。',
  ],
  'teach.progress': [
    '{n} of {goal} lessons towards the next training',
    '距下一次训练：{goal} 条课程中已有 {n} 条',
  ],
  'teach.enough': ['{n} lessons are ready: enough for the next training', '已有 {n} 条课程：足够进行下一次训练'],
  'teach.progressText': [
    'These are the [[lessons|lesson]] that judgements so far give at most and that no training has used. With fewer than {goal}, a training shows little.',
    '这是目前的评价最多能给出、且尚未用于训练的[[课程|lesson]]。少于 {goal} 条时，训练看不出什么。',
  ],
  'teach.build': ['Build lessons', '生成课程'],
  'teach.buildText': [
    'Collects all judgements so far into a [[lesson set|lessonSet]] that a model can train on.',
    '把目前的所有评价汇集成可供模型训练的[[课程集|lessonSet]]。',
  ],
  'teach.buildAsk': ['An owner or maintainer of this server builds the lessons.', '由此服务器的所有者或维护者生成课程。'],
  'teach.building': ['Building the lessons …', '正在生成课程…'],
  'teach.built': ['Lesson set {n} is built: {lessons} {lessons|lesson|lessons}.', '第 {n} 个课程集已生成，共 {lessons} 条课程。'],
  'teach.upToDate': [
    'The lessons are up to date: nothing changed since set {n}, which has {lessons} {lessons|lesson|lessons}.',
    '课程已是最新：自第 {n} 个课程集（共 {lessons} 条课程）以来没有变化。',
  ],
  'teach.buildFailed': ['The lessons could not be built.', '课程未能生成。'],
  'teach.seeSet': ['See what is in it', '查看内容'],

  'opinion.helpful': ['{k} of {n} {n|finds|find} it helpful', '{n} 人中有 {k} 人认为有帮助'],
  'opinion.notHelpful': ['{k} of {n} {n|finds|find} it not helpful', '{n} 人中有 {k} 人认为没帮助'],
  'opinion.allHelpful': ['all {n} find it helpful', '{n} 人都认为有帮助'],
  'opinion.allNotHelpful': ['all {n} find it not helpful', '{n} 人都认为没帮助'],
  'opinion.half': ['{opinion} (“somewhat” counts half)', '{opinion}（“一般”按半个计）'],
  'opinion.sentence': ['{opinion}.', '{opinion}。'],
  'opinion.side': ['On {side}, {opinion}.', '{side}：{opinion}。'],
  'opinion.sideEmpty': ['No rating that counts comes from {side} yet.', '{side}还没有计入的评价。'],

  'status.people_are_divided': ['People are divided', '意见分歧'],
  'status.agreement_is_new': ['People agree so far', '目前意见一致'],
  'statusText.reason': ['{status}. {reason}', '{status}。{reason}'],
  'statusText.nobody': ['Nobody has rated it yet.', '还没有人评价。'],
  'statusText.nobodyCounts': ['Nobody whose ratings count has judged it yet.', '还没有评价计入的人评价过。'],
  'statusText.divided': [
    'Some find it helpful and others do not: more ratings of the same kind will not change that.',
    '有人认为有帮助，有人认为没有：再多同样的评价也不会改变这一点。',
  ],
  'statusText.team': ['Your team agrees: {opinion}.', '你们的团队意见一致：{opinion}。'],
  'statusText.quorum': [
    'It needs ratings of half of the people who take part: at least two, and never more than five.',
    '需要一半参与者的评价：至少两个，最多五个。',
  ],
  'statusText.learnsGood': [
    'The assistant can learn from it, as a good example with a weight of {weight} out of 1.',
    '助手可以把它当作好的例子来学习，权重为 {weight}（满分 1）。',
  ],
  'statusText.learnsBad': [
    'The assistant can learn from it, as a bad example with a weight of {weight} out of 1.',
    '助手可以把它当作不好的例子来学习，权重为 {weight}（满分 1）。',
  ],
  'statusText.learnsNothing': ['The assistant learns nothing from its ratings yet.', '助手目前不从这些评价中学习。'],
  'statusText.learnsNothingDivided': [
    'The assistant learns nothing from it while people are divided.',
    '在意见分歧期间，助手不从中学习。',
  ],
  'statusText.uncountedNew': [
    '{n} {n|rating does|ratings do} not count yet: nobody invited {n|that account|those accounts}. Such an account counts after three judgements of other people’s items that are decided, and then its earlier ones as well. Ratings of invited people count at once.',
    '{n} 个评价尚未计入：对应的账户未经邀请。这样的账户在评价过三项他人的、已有定论的内容之后计入，此前的评价也一并计入。受邀成员的评价立即计入。',
  ],
  'statusText.uncountedCopy': [
    '{n} {n|rating does|ratings do} not count: {n|its account repeats|their accounts repeat} another account’s ratings.',
    '{n} 个评价未计入：对应的账户重复了另一账户的评价。',
  ],
  'reasonText.both_sides': [
    'Both sides agree, with a margin for doubt on each.',
    '双方意见一致，且各方都留有余地。',
  ],
  'reasonText.team_agrees': ['Your team agrees.', '你们的团队意见一致。'],
  'reasonText.kept': [
    'It had this status before, and newer ratings do not overturn it.',
    '它此前已有此状态，新的评价没有推翻它。',
  ],
  'reasonText.jury_upholds': [
    'It had this status before, and a jury drawn by lot upholds it.',
    '它此前已有此状态，抽签产生的评审团维持了它。',
  ],
  'reasonText.jury_veto': [
    'A jury drawn by lot disagreed, so it has no status.',
    '抽签产生的评审团不同意，因此没有状态。',
  ],
  'reasonText.too_young': [
    'It gets a status later: the first rating is recent, and others get time to look.',
    '稍后才有定论：首个评价刚刚作出，还要给其他人时间。',
  ],
  'reasonText.other_side_missing': [
    'Enough people judged it, but almost all are of one side: ratings of the other are missing.',
    '评价的人数已够，但几乎都来自一方：还缺少另一方的评价。',
  ],
  'reasonText.no_quorum': ['Too few ratings count so far.', '目前计入的评价太少。'],
  'reasonText.no_agreement': ['People do not clearly agree.', '大家没有明确一致的意见。'],
  'reasonText.rests_on_most_active': [
    'People would agree, but only because of the few most active among them.',
    '大家看似一致，但只因其中少数最活跃的人。',
  ],
  'reasonText.waits_for_others': [
    'It would have a status, but only one person acted since the last change and can change one at most.',
    '它本应有状态，但自上次变化以来只有一人参与，最多只能改变一项。',
  ],
  'reasonText.held_by_flip_cap': [
    'It would have changed, but only because of people who would have changed many at once. Somebody should find out why.',
    '它本会改变，但这只是因为有人会一次改变许多状态。应当有人查明原因。',
  ],

  'item.yours': ['Your private answer', '你的私密回答'],
  'item.private': ['A private answer', '一个私密回答'],
  'item.deletedNote': ['A note whose text was deleted', '内容已删除的注记'],
  'item.id': ['ID of this item', '此内容的 ID'],
  'item.pairBetter': ['Better than', '优于'],
  'item.pairWorse': ['Worse than', '不如'],
  'item.pairsText': [
    'People compared it with these answers. [[q|q]] says how sure they are together, the [[weight|weight]] how much is learnt from it.',
    '人们把它与这些回答作过对比。[[q|q]] 表示大家总体上有多确定，[[权重|weight]]表示从中学到多少。',
  ],

  'agreement.lead': [
    'What people agree on, and where they are divided. The assistant learns only from what they agree on, and nobody can override that.',
    '大家一致认可什么，又在哪里有分歧。助手只学习大家一致认可的内容，任何人都不能推翻。',
  ],
  'agreement.short': ['In short', '概况'],
  'agreement.people': [
    '{n} {n|person has|people have} judged answers. The judgements of {k} [[count|counts]].',
    '{n} 人评价过回答，其中 {k} 人的评价[[计入|counts]]。',
  ],
  'agreement.agreed': [
    'They agree on {k} of {n} answers and notes: {up} helpful, {down} not helpful.',
    '在 {n} 项回答和注记中，{k} 项意见一致：{up} 项有帮助，{down} 项没帮助。',
  ],
  'agreement.divided': [
    'They are divided on {n}; {open} {open|needs|need} more ratings.',
    '{n} 项意见分歧；{open} 项需要更多评价。',
  ],
  'agreement.new': [
    'On {n} more they agree so far. {n|It gets|They get} a status later, so that others have time to look.',
    '另有 {n} 项目前意见一致，稍后才有定论，好让其他人有时间看看。',
  ],
  'agreement.pairs': [
    'They compared two answers to the same question {n} {n|time|times}, and agree which is better in {k} of these pairs.',
    '他们比较了 {n} 对同一问题的回答，在其中 {k} 对上对哪个更好意见一致。',
  ],
  'agreement.learnable': [
    '{n} of these {n|gives|give} a [[lesson|lesson]], with the more [[weight|weight]] the surer people are.',
    '其中 {n} 项可以成为[[课程|lesson]]；人们越确定，[[权重|weight]]越大。',
  ],
  'agreement.noSides': [
    'No [[sides|sides]] are visible: people judge alike, or are too few to tell. Everybody counts together.',
    '看不出[[两方|sides]]：大家评价相近，或人数太少。所有人一起计算。',
  ],
  'agreement.twoSides': [
    'People form two [[sides|sides]]. Something counts as agreed only if both sides say so ([[bridging|bridging]]).',
    '人们分成[[两方|sides]]。只有双方都认可，才算意见一致（[[跨越分歧|bridging]]）。',
  ],
  'agreement.sides': ['Who thinks alike', '谁的看法相近'],
  'agreement.sidePeople': ['{side}: {n} {n|person|people}', '{side}：{n} 人'],
  'agreement.sideLikes': ['Likes, unlike the other side:', '与另一方不同，这一方喜欢：'],
  'agreement.sideUnknown': [
    'Rate more to see what this side likes: other people’s ratings stay hidden until you have rated.',
    '多做评价，才能看到这一方喜欢什么：在你评价之前，他人的评价是隐藏的。',
  ],
  'agreement.ground': ['Common ground', '共识'],
  'agreement.groundLead': ['People agree that these are helpful.', '大家一致认为有帮助。'],
  'agreement.dividedTitle': ['Where people are divided', '分歧所在'],
  'agreement.dividedLead': ['Some find these helpful, others do not.', '有人认为有帮助，有人认为没有。'],
  'agreement.dividedNone': [
    'Nothing that you have rated. Other people’s ratings stay hidden until you have rated.',
    '在你评价过的内容中没有。在你评价之前，他人的评价是隐藏的。',
  ],
  'agreement.figures': ['Figures', '数据'],
  'agreement.weaker': ['Less convinced side', '较不认可的一方'],

  'runs.how': ['Start a training', '开始训练'],
  'runs.howText': [
    'Training runs on the server’s computer. Enter these commands in Yearling’s source folder.',
    '训练在服务器所在的电脑上进行。请在 Yearling 的源代码文件夹中输入这些命令。',
  ],
});
