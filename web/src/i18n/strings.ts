/** All strings of the page, as [English, Chinese]. Those in `pages/` load with the pages that show them. */
import type { CORRECTIONS as CORRECTION_PAGES } from './pages/corrections';
import type { CYCLE } from './pages/cycle';
import type { DOCUMENTS } from './pages/documents';
import type { EXPLANATIONS } from './pages/explanations';
import type { LEARNING } from './pages/learning';
import type { OFFERS } from './pages/offers';
import type { PEOPLE } from './pages/people';
import type { RATE } from './pages/rate';
import type { RELEASES as RELEASE_PAGES } from './pages/releases';
import type { ROUNDS } from './pages/rounds';
import type { TERMS } from './pages/terms';
import { CORRECTIONS } from './strings-corrections';
import { FEEDBACK } from './strings-feedback';
import { LOOKUP } from './strings-lookup';
import { RELEASES } from './strings-releases';
import { addStrings, TABLE } from './table';

const CHAT = {
  add: ['Add', '添加'],
  again: ['Try again', '重试'],
  cancel: ['Cancel', '取消'],
  close: ['Close', '关闭'],
  command: ['Command', '命令'],
  copied: ['Copied', '已复制'],
  copy: ['Copy', '复制'],
  delete: ['Delete', '删除'],
  details: ['Details', '详情'],
  edit: ['Edit', '编辑'],
  loading: ['Loading …', '加载中…'],
  loadMore: ['Show more', '显示更多'],
  more: ['More', '更多'],
  remove: ['Remove', '移除'],
  rename: ['Rename', '重命名'],
  save: ['Save', '保存'],
  saved: ['Saved', '已保存'],
  skip: ['Skip to content', '跳到正文'],
  undo: ['Undo', '撤销'],
  untitled: ['Untitled chat', '未命名对话'],
  signOut: ['Sign out', '退出登录'],
  theme: ['Theme', '主题'],
  'theme.system': ['System', '跟随系统'],
  'theme.light': ['Light', '浅色'],
  'theme.dark': ['Dark', '深色'],
  'error.offline': ['Cannot reach the server. Is it running?', '无法连接服务器，请确认它正在运行。'],
  'error.broken': ['Something went wrong on this page.', '页面出错了。'],
  'error.reload': ['Reload', '重新加载'],
  'error.unreachable': ['Cannot reach Yearling', '无法连接 Yearling'],
  'error.notFound': ['Page not found', '找不到页面'],

  'nav.label': ['Main', '主导航'],
  'nav.open': ['Open menu', '打开菜单'],
  'nav.hide': ['Hide sidebar', '隐藏侧栏'],
  'nav.show': ['Show sidebar', '显示侧栏'],
  'nav.newChat': ['New chat', '新对话'],
  'nav.search': ['Search chats', '搜索对话'],
  'nav.compare': ['Compare', '对比'],
  'nav.notes': ['Notes', '注记'],
  'nav.memory': ['Memory', '记忆'],
  'nav.documents': ['Documents', '文档'],
  'nav.history': ['History', '历史'],
  'nav.learning': ['How it learns', '它如何学习'],
  'nav.models': ['Models', '模型'],
  'nav.allChats': ['All chats', '全部对话'],
  'nav.consensus': ['Agreement', '共识'],
  'nav.raters': ['Whose feedback is this?', '这是谁的反馈？'],
  'nav.runs': ['What it learnt', '学到了什么'],
  'nav.exams': ['Exams', '考试'],
  'nav.spec': ['Rules', '规则'],
  'nav.settings': ['Settings', '设置'],
  'nav.people': ['People', '成员'],
  'nav.keys': ['Keyboard shortcuts', '键盘快捷键'],
  'nav.account': ['Account', '账户'],
  'teach.title': ['Teach', '教它'],
  'teach.rate': ['Rate', '评价'],
  'teach.rounds': ['Rounds', '问答轮'],
  'cycle.report': ['Report', '报告'],
  'notes.waiting': ['{n} {n|item needs|items need} your rating', '{n} 条等你评价'],

  'period.today': ['Today', '今天'],
  'period.yesterday': ['Yesterday', '昨天'],
  'period.week': ['Last 7 days', '过去 7 天'],
  'period.month': ['Last 30 days', '过去 30 天'],
  'period.older': ['Older', '更早'],

  'folder.title': ['Folders', '文件夹'],
  'folder.new': ['New folder', '新建文件夹'],
  'folder.name': ['Name', '名称'],
  'folder.all': ['All folders', '所有文件夹'],
  'folder.move': ['Move to folder', '移到文件夹'],
  'folder.remove': ['Remove from folder', '移出文件夹'],
  'folder.menuOf': ['Options for folder {name}', '文件夹“{name}”的选项'],
  'folder.delete': ['Delete this folder?', '删除此文件夹？'],
  'folder.deleteText': ['“{name}” will be deleted. Its chats stay.', '将删除“{name}”，其中的对话会保留。'],

  'welcome.title': ['What would you like to know?', '想聊点什么？'],
  'welcome.temporary': ['A chat that is not saved', '不会保存的对话'],
  'welcome.lead': [
    'Ask anything. Your messages stay on the machine that runs Yearling, unless the model that you choose runs elsewhere.',
    '尽管提问。你的消息留在运行 Yearling 的机器上，除非所选的模型在别处运行。',
  ],
  'welcome.learning': [
    'Rate answers, compare two, or edit one. The assistant learns from what people agree on.',
    '给回答评分、对比两个回答，或改写回答。助手会从大家一致认可的内容中学习。',
  ],
  'welcome.small': [
    '{model} is a very small model: it runs anywhere and answers at once, but it often gets facts, sums and code wrong.',
    '{model} 是一个很小的模型：任何机器都能运行、回答很快，但几乎不会中文，在事实、计算和代码上也经常出错。',
  ],
  'welcome.better': ['Get a better model', '换用更好的模型'],
  'start.explain': ['Explain', '解释'],
  'start.explainText': ['Why is the sky blue, in three sentences?', '用三句话解释天空为什么是蓝色的。'],
  'start.write': ['Write', '写作'],
  'start.writeText': ['Write a friendly note to a new neighbour.', '给新邻居写一张友好的便条。'],
  'start.plan': ['Plan', '规划'],
  'start.planText': ['Plan a rainy Sunday with two children.', '帮我安排一个带两个孩子的下雨的星期天。'],
  'start.code': ['Code', '编程'],
  'start.codeText': ['Show me how to read a CSV file in Python.', '演示如何用 Python 读取 CSV 文件。'],

  'chat.message': ['Message', '消息'],
  'chat.messages': ['Messages', '消息'],
  'chat.placeholder': ['Ask anything', '有问题，尽管问'],
  'chat.send': ['Send', '发送'],
  'chat.stop': ['Stop', '停止'],
  'chat.model': ['Model', '模型'],
  'chat.mode': ['Mode', '模式'],
  'mode.regular': ['Regular', '常规'],
  'mode.fun': ['Fun', '趣味'],
  'chat.answerOptions': ['How to answer', '回答方式'],
  'chat.comparingOff': ['Comparing two answers. Turn off.', '正在对比两个回答。关闭对比。'],
  'chat.compareNext': ['Compare two answers', '对比两个回答'],
  'chat.compareHint': ['For the next question only', '仅下一个问题'],
  'chat.compareThis': ['Generate two answers to compare', '生成两个回答进行对比'],
  'chat.comparing': ['Comparing', '对比中'],
  'chat.question': ['Question', '问题'],
  'chat.yourMessage': ['You said', '你说'],
  'chat.answer': ['Answer', '回答'],
  'chat.thinking': ['Generating an answer', '正在生成回答'],
  'chat.answered': ['Answer complete', '回答完成'],
  'chat.empty': ['The answer is empty.', '回答为空。'],
  'memory.used': ['{n} {n|memory|memories} used', '使用了 {n} 条记忆'],
  'chat.reasoning': ['Reasoning', '思考过程'],
  'chat.reconnecting': ['Connection lost. Reconnecting …', '连接中断，正在重新连接…'],
  'chat.failed': ['The answer failed.', '回答失败。'],
  'chat.cutOff': ['The answer reached the length limit.', '回答达到长度上限。'],
  'chat.stopped': ['Stopped', '已停止'],
  'chat.brokenOff': ['The answer broke off because of an error.', '回答因出错而中断。'],
  'chat.unanswered': ['This question has no answer.', '这个问题还没有回答。'],
  'chat.generate': ['Generate an answer', '生成回答'],
  'chat.writtenBy': ['Written by', '作者：'],
  'chat.continue': ['Continue', '继续'],
  'chat.regenerate': ['Regenerate', '重新生成'],
  'chat.editAnswer': ['Edit the answer', '改写回答'],
  'chat.editAnswerHint': [
    'Edit the answer into what it should have been. Your edit is saved next to the original, and other people can rate it.',
    '把回答改写成它应有的样子。你的改写会保存在原回答旁边，其他人可以评价。',
  ],
  'chat.editAnswerSave': ['Save edit', '保存改写'],
  'chat.editedByYou': ['Edited by you', '由你改写'],
  'chat.editQuestion': ['Edit the question', '编辑问题'],
  'chat.branches': ['Versions', '版本'],
  'chat.branchBefore': ['Previous version', '上一个版本'],
  'chat.branchAfter': ['Next version', '下一个版本'],
  'chat.branchOf': ['{n} / {all}', '{n} / {all}'],
  'chat.scrollToEnd': ['Scroll to bottom', '滚动到底部'],
  'chat.temporary': ['Temporary chat', '临时对话'],
  'chat.temporaryOff': ['Exit temporary chat', '退出临时对话'],
  'chat.temporaryNote': [
    'This chat is not saved and not used for learning. It is gone when you leave the page.',
    '此对话不会保存，也不会用于学习。离开页面后即消失。',
  ],
  'chat.finePrint': ['Answers can be wrong. Check important information.', '回答可能有误，重要信息请核实。'],
  'chat.leftOut': [
    'This chat is longer than the model can read. The model no longer sees the first {n} {n|message|messages}.',
    '对话过长，模型已看不到最初的 {n} 条消息。',
  ],
  'chat.none': ['No chats yet.', '还没有对话。'],
  'chat.notFound': ['Chat not found', '找不到这个对话'],
  'chat.menuOf': ['Options for {title}', '“{title}”的选项'],
  'chat.deleted': ['Chat deleted.', '对话已删除。'],
  'chat.deleteTitle': ['Delete this chat?', '删除此对话？'],
  'chat.deleteText': [
    '“{title}” and all records of its answers will be permanently deleted.',
    '将永久删除“{title}”，包括其回答的所有记录。',
  ],
  'chat.deleteFrom': ['Delete from here', '从这里起删除'],
  'chat.deleteFromText': [
    'This answer and everything after it will be permanently deleted.',
    '此回答及其后的所有内容将被永久删除。',
  ],

  'edit.keys': ['Enter sends, Shift Enter begins a new line', '按 Enter 提交，按 Shift Enter 换行'],
  'edit.keysMultiline': ['Ctrl Enter saves', '按 Ctrl Enter 保存'],
  'model.choose': ['Choose a model', '选择模型'],
  'model.search': ['Search models', '搜索模型'],
  'model.searchAll': ['Search all {n} models', '搜索全部 {n} 个模型'],
  'model.found': ['{n} {n|model|models}', '{n} 个模型'],
  'model.current': ['in use', '使用中'],
  'model.manage': ['Manage models', '管理模型'],
  'model.missing': [
    '{missing}, the model of this chat, is no longer here. {model} answers instead.',
    '此对话原来的模型 {missing} 已不可用，将由 {model} 回答。',
  ],

  'details.lead': ['How this answer was generated.', '此回答的生成记录。'],
  'details.created': ['Created', '创建时间'],
  'details.stopReason': ['Stop reason', '结束原因'],
  'details.sample': ['Record ID', '记录编号'],
  'details.notSaved': ['not saved', '未保存'],
  'details.web': ['Web pages fetched', '打开的网页'],
  'details.memories': ['Memories used', '使用的记忆'],

  'share.title': ['Share', '分享'],
  'share.from': ['Share up to here', '分享到此处'],
  'share.explain': [
    'Anyone with the link can read this branch as it is now. Later messages are not shared. You can revoke the link at any time.',
    '任何拿到链接的人都能阅读当前分支，之后的消息不会分享。你可以随时撤销链接。',
  ],
  'share.create': ['Create link', '创建链接'],
  'share.copied': ['Link copied.', '链接已复制。'],
  'share.copy': ['Copy link', '复制链接'],
  'share.revoke': ['Revoke', '撤销'],
  'share.revoked': ['The link no longer works.', '链接已失效。'],
  'share.none': ['No links yet.', '还没有链接。'],
  'share.since': ['Created {when}', '创建于 {when}'],
  'share.shared': ['Shared', '已分享'],
  'share.sharedOn': ['Shared on {when}', '分享于 {when}'],
  'share.all': ['Your shared links', '你分享的链接'],
  'share.note': ['A shared chat with an AI assistant. Answers can be wrong.', '这是与 AI 助手的对话分享，回答可能有误。'],
  'share.invalid': ['This link does not work', '此链接无效'],
  'share.invalidText': ['It may have been revoked.', '它可能已被撤销。'],

  'search.placeholder': ['Search titles and messages', '搜索标题和消息'],
  'search.results': ['Search results', '搜索结果'],
  'search.found': ['{n} {n|chat|chats} found', '找到 {n} 个对话'],
  'search.nothing': ['No results.', '没有结果。'],

  'history.lead': ['All your chats. Search, export or delete them.', '你的全部对话：可搜索、导出或删除。'],
  'history.none': ['No chats yet', '还没有对话'],
  'history.noneText': [
    'Start a chat, or import your chats from ChatGPT, Open WebUI or another Yearling.',
    '开始一个新对话，或从 ChatGPT、Open WebUI 或另一个 Yearling 导入对话。',
  ],
  'history.messages': ['{n} {n|message|messages}', '{n} 条消息'],
  'history.from': ['imported from {origin}', '导入自 {origin}'],
  'history.select': ['Select {title}', '选择“{title}”'],
  'history.selected': ['{n} selected', '已选 {n} 个'],
  'history.deleteText': [
    '{n} {n|chat|chats} and all their records will be permanently deleted.',
    '将永久删除 {n} 个对话及其所有记录。',
  ],
  'history.import': ['Import', '导入'],
  'history.importFile': ['File to import', '要导入的文件'],
  'history.imported': ['Imported', '导入完成'],
  'history.export': ['Export all', '全部导出'],
  'history.exported': ['The export contains all your data.', '导出文件包含你的全部数据。'],
  'import.conversations': ['Chats', '对话'],
  'import.messages': ['Messages', '消息'],
  'import.folders': ['Folders', '文件夹'],
  'import.memories': ['Memories', '记忆'],
  'import.corrections': ['Corrections', '纠正'],
  'import.known': ['Already present', '已存在'],
  'import.leftOut': ['Not imported', '未导入'],

  'md.text': ['text', '文本'],
  'md.wrap': ['Wrap', '换行'],
  'md.code': ['Code', '代码'],
  'md.table': ['Table', '表格'],
  'md.image': ['Image', '图片'],
  'md.done': ['Done', '已完成'],
  'md.open': ['Not done', '未完成'],
  'md.diagram': ['Diagram', '图表'],
  'md.diagramAlt': ['Diagram. Its source can be opened below.', '图表，可在下方展开源码'],
  'md.source': ['Source', '源码'],
  'md.rendering': ['Rendering …', '绘制中…'],
  'md.renderFailed': ['This diagram cannot be rendered. Source:', '无法绘制此图表，源码：'],

  'keys.side': ['Show or hide the sidebar', '显示或隐藏侧栏'],
  'keys.composer': ['Focus the message field', '转到输入框'],
  'keys.send': ['Send', '发送'],
  'keys.line': ['New line', '换行'],
  'keys.editLast': ['Edit your last question', '编辑上一个问题'],
  'keys.stop': ['Stop generating', '停止生成'],
  'keys.compare': ['Choose the first, the second, or a tie', '选择第一个、第二个或平手'],
  'keys.help': ['Show this list', '显示此列表'],
} as const;

const FIRST = addStrings({ ...CHAT, ...CORRECTIONS, ...FEEDBACK, ...LOOKUP, ...RELEASES });

type Pages = typeof CORRECTION_PAGES &
  typeof CYCLE &
  typeof DOCUMENTS &
  typeof EXPLANATIONS &
  typeof LEARNING &
  typeof OFFERS &
  typeof PEOPLE &
  typeof RATE &
  typeof RELEASE_PAGES &
  typeof ROUNDS &
  typeof TERMS;

export const STRINGS = TABLE as typeof FIRST & Pages;
export type TranslationKey = keyof typeof STRINGS;
