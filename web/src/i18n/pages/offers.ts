/** Strings of the dialog that offers an answer to others. */
import { addStrings } from '../table';

export const OFFERS = addStrings({
  'offer.title': ['Let others rate this', '让其他人评价'],
  'offer.explain': [
    'Everybody with an account here can read this question and answer and rate them. They do not see who asked, nor anything else of this chat. You can withdraw it at any time: the words are then deleted.',
    '此处有账户的所有人都能阅读并评价这个问题和回答。他们看不到提问者是谁，也看不到此对话的其他内容。你可以随时撤回，文字随即删除。',
  ],
  'offer.names': [
    '{n|This looks like the name of somebody here:|These look like names of people here:}',
    '{n|这看起来是此处某人的名字：|这些看起来是此处的人名：}',
  ],
  'offer.takeOut': ['Take names out', '去掉人名'],
  'offer.takeOutOne': ['Take out “{name}”', '去掉“{name}”'],
  'offer.name': ['[name]', '[姓名]'],
  'offer.see': ['What others will see', '其他人将看到的内容'],
  'offer.edit': ['Edit the words', '修改文字'],
  'offer.preview': ['Show what others will see', '查看其他人将看到的内容'],
  'offer.question': ['Question', '问题'],
  'offer.answer': ['Answer', '回答'],
  'offer.edited': [
    'You changed the words. Others rate your version, you cannot rate it yourself, and your chat stays as it is.',
    '你修改了文字。其他人评价的是你的版本，你自己不能评价它；你的对话保持不变。',
  ],
  'offer.reset': ['Back to the original words', '恢复原文'],
  'offer.publish': ['Let others rate this', '让其他人评价'],
  'offer.done': ['Others can rate this now.', '其他人现在可以评价了。'],
  'offer.withdrawTitle': ['Withdraw this answer?', '撤回这个回答？'],
  'offer.withdrawText': [
    'Others can no longer read or rate it. Its words are deleted, and ratings of it no longer teach the model. Your chat stays as it is.',
    '其他人将不能再阅读或评价它。文字会被删除，已有的评价不再用于训练模型。你的对话保持不变。',
  ],
  'offer.withdrawn': ['Withdrawn. Its words are deleted.', '已撤回，文字已删除。'],
  'offer.list': ['Answers you let others rate', '你让其他人评价的回答'],
  'offer.listText': [
    'Everybody with an account here can read these and rate them, without seeing that they are yours. To add one, open the menu below an answer.',
    '此处有账户的所有人都能阅读并评价这些回答，但看不到它们是你的。要添加回答，请打开回答下方的菜单。',
  ],
  'offer.none': ['None yet.', '还没有。'],
  'offer.count': ['{n} {n|judgement|judgements}', '{n} 条评价'],
  'offer.since': ['since {when}', '自 {when} 起'],
  'offer.withdrawnOn': ['withdrawn {when}', '已于 {when} 撤回'],
  'offer.gone': ['The words are deleted', '文字已删除'],
  'offer.openChat': ['Open the chat', '打开对话'],
  'offer.thanks': ['Thank you. Your rating counts.', '谢谢，你的评价已计入。'],
});
