/**
 * Display names for identifiers that the server sends. An identifier that is not listed is shown as it is, since a server that is
 * newer than the page may send others.
 */
import { language } from '.';

type Names = Readonly<Record<string, readonly [english: string, chinese: string]>>;

const NAMES = {
  finishReason: {
    stop: ['Complete', '正常结束'],
    length: ['Length limit', '达到长度上限'],
    tool_calls: ['Tool call', '调用工具'],
    cancelled: ['Stopped by you', '由你停止'],
    error: ['Error', '出错'],
  },
  importSource: {
    chatgpt: ['ChatGPT', 'ChatGPT'],
    claude: ['Claude', 'Claude'],
    librechat: ['LibreChat', 'LibreChat'],
    llamacpp: ['llama.cpp', 'llama.cpp'],
    open_webui: ['Open WebUI', 'Open WebUI'],
    yearling: ['Yearling', 'Yearling'],
  },
  importedRecord: {
    conversation: ['chat', '对话'],
    conversations: ['chats', '对话'],
    message: ['message', '消息'],
    messages: ['messages', '消息'],
    attachment: ['attachment', '附件'],
    sample: ['answer record', '回答记录'],
    share: ['shared link', '分享链接'],
    'address of a share': ['shared link', '分享链接'],
    memory: ['memory', '记忆'],
    memories: ['memories', '记忆'],
    corrections: ['corrections', '纠正'],
    folder: ['folder', '文件夹'],
    folders: ['folders', '文件夹'],
    judgement: ['rating', '评价'],
  },
  exam: {
    gsm8k: ['GSM8K', 'GSM8K'],
    ifeval: ['IFEval', 'IFEval'],
    own: ['Own exam', '自有考试'],
    preference: ['Preference', '偏好'],
    truthfulqa: ['TruthfulQA', 'TruthfulQA'],
    xstest: ['XSTest', 'XSTest'],
  },
  examTitle: {
    calibration: ['Is its stated confidence right?', '自述的把握是否准确'],
    cmrc2018: ['Chinese reading', '中文阅读理解'],
    constraints: ['Our own instructions with constraints, held out', '自有的带约束指令（留出题）'],
    retrieval: ['Search: is the right passage found', '检索：是否找到正确的段落'],
    citations: ['Citations: does the source say it', '引用：来源是否确有其言'],
    abstention: ['Search: is a missing answer noticed', '检索：没有答案时能否察觉'],
    freshness: ['Search: new versions and removed documents', '检索：新版本与已删除的文档'],
    corrections: ['Ten corrections: followed, and nothing else changed', '十条纠正：照做，且不改变其他'],
    drift: ['Distance from the model in use', '与正在使用的模型的差距'],
    gsm8k: ['Grade-school maths', '小学数学'],
    ifeval: ['Instructions that a program can check', '可由程序检查的指令'],
    incidents: ['Answers that must not happen again', '不得再次出现的回答'],
    'nq-open': ['Open-domain questions', '开放领域问答'],
    persistbench: ['Good use of memory, without leaks or flattery', '善用记忆，不泄露、不逢迎'],
    'persistbench-chosen': ['The same, with memories that the assistant chose', '同上，由助手自选记忆'],
    spec: ['The behaviour spec, each answer by itself', '行为准则，逐个回答检查'],
    truthfulqa: ['Common falsehoods, in its own words', '常见谬误（自由作答）'],
    'truthfulqa-mc': ['Common falsehoods, by probability', '常见谬误（按概率）'],
    xstest: ['Refuses unsafe requests and only those', '只拒绝不安全的请求'],
  },
  // By the first word of what the server says.
  pullPhase: {
    Starting: ['Starting', '正在开始'],
    Downloading: ['Downloading', '正在下载'],
    Unpacking: ['Unpacking', '正在解压'],
    Converting: ['Converting', '正在转换'],
    Rewriting: ['Converting', '正在转换'],
    Installed: ['Installed', '已安装'],
  },
  scope: {
    read: ['Read', '读取'],
    chat: ['Chat', '对话'],
    feedback: ['Feedback', '反馈'],
    admin: ['Admin', '管理'],
  },
  trainingMethod: {
    sft: ['Supervised fine-tuning (SFT)', '监督微调（SFT）'],
    dpo: ['Preference optimisation (DPO)', '偏好优化（DPO）'],
    kto: ['Preference optimisation (KTO)', '偏好优化（KTO）'],
    reward: ['Reward model', '奖励模型'],
    grpo: ['Reinforcement learning (GRPO)', '强化学习（GRPO）'],
    ppo: ['Reinforcement learning (PPO)', '强化学习（PPO）'],
    rejection: ['Rejection sampling', '拒绝采样'],
    reader: ['Reader of corrections', '纠正读取器'],
  },
  pairReason: {
    nothing_decided: ['Nothing is decided yet', '尚无定论'],
    people_are_divided: ['People are divided', '意见分歧'],
    sides_disagree: ['The two sides disagree', '双方意见不一'],
    one_side_only: ['Only one side has compared them', '只有一方作过对比'],
  },
  dropReason: {
    nothing_decided: ['Nothing is decided yet', '尚无定论'],
    people_are_divided: ['People are divided', '意见分歧'],
    raters_do_not_count_yet: ['From accounts that do not count yet', '来自尚未计入的账户'],
    newer_than_the_consensus_run: ['Newer than the newest agreement', '晚于最近一次共识计算'],
    replaced_by_a_later_one: ['Replaced by a later judgement of the same person', '已被同一人后来的评价取代'],
    retracted: ['Taken back', '已撤回'],
    removed_by_an_administrator: ['Removed by an administrator', '已被管理员移除'],
    about_a_note: ['About a note', '关于备注'],
    offer_withdrawn: ['No longer offered to others', '已不再供他人评价'],
    words_taken_back: ['The edit was taken back', '修改已被撤回'],
    words_gone: ['The words were deleted', '文字已被删除'],
    words_not_kept: ['The words were not kept', '文字未保存'],
    answer_was_cut_off: ['The answer was cut off', '回答被截断'],
    empty_answer: ['Empty answer', '回答为空'],
    no_prompt: ['No question', '没有问题'],
    same_words: ['Both answers have the same words', '两个回答文字相同'],
    answers_to_different_prompts: ['Answers to different questions', '回答的是不同的问题'],
    too_many_edits: ['Edited too many times', '修改次数过多'],
    edit_not_helpful: ['People find the edit not helpful', '人们认为修改没帮助'],
    edit_found_worse: ['People prefer the original to the edit', '人们更喜欢修改前的回答'],
    learnt_before: ['Used in an earlier lesson set', '已用于先前的课程集'],
    duplicate: ['Duplicate', '重复'],
    near_duplicate: ['Near duplicate', '近似重复'],
    like_a_held_out_one: ['Too similar to a held-out example', '与留作考试的例子过于相似'],
    people_disagree: ['Raters disagree', '评价者意见不一'],
    neither_good_nor_bad: ['Neither good nor bad', '不好不坏'],
    not_in_the_consensus_run: ['Not in the consensus run', '未纳入共识计算'],
    no_weight: ['No weight', '没有权重'],
    needs_more_ratings: ['Needs more ratings', '需要更多评价'],
    sides_disagree: ['The two sides disagree', '双方意见不一'],
    one_side_only: ['Only one side has rated', '只有一方评价'],
    helpful: ['Helpful', '有帮助'],
    not_helpful: ['Not helpful', '没帮助'],
  },
  grader: {
    answer: ['Answer check', '答案检查'],
    care: ['Care', '关怀'],
    code: ['Code check', '代码检查'],
    confidence: ['Confidence', '把握程度'],
    language: ['Language', '语言'],
    length: ['Length', '长度'],
    mirror: ['Even-handedness', '一视同仁'],
    must: ['Required text', '必含内容'],
    nature: ['Claims about itself', '关于自身的说法'],
    person: ['Human review', '人工评审'],
    praise: ['Praise', '赞扬'],
    pushback: ['Standing by facts', '坚持事实'],
    refusal: ['Refusal', '拒答'],
    sources: ['Sources', '来源'],
    views: ['Balance of views', '观点平衡'],
  },
  judge: {
    labels: ['Automatic grader', '自动评分'],
    person: ['Human review', '人工评审'],
  },
  basis: {
    founding: ['Founding clause', '初始条款'],
  },
  messageRole: {
    user: ['User', '用户'],
    assistant: ['Assistant', '助手'],
    system: ['System', '系统'],
    tool: ['Tool', '工具'],
  },
  verdict: {
    right: ['Right', '正确'],
    wrong: ['Wrong', '错误'],
  },
} as const satisfies Record<string, Names>;

export function displayName(kind: keyof typeof NAMES, id: string): string {
  const names = Object.hasOwn(NAMES[kind], id) ? (NAMES[kind] as Names)[id] : undefined;
  return names ? names[language.get() === 'zh' ? 1 : 0] : id;
}

/** The title of an exam; of one that is not listed the server's, if it says one. */
export function examTitle(exam: string, title?: string): string {
  return Object.hasOwn(NAMES.examTitle, exam) ? displayName('examTitle', exam) : title || exam;
}

/** Why a judgement gave no lesson. The server names the exam whose words the lesson would repeat. */
export function dropReasonName(reason: string): string {
  const exam = /^in_the_exam_(.+)$/.exec(reason)?.[1];
  if (!exam) return displayName('dropReason', reason);
  return language.get() === 'zh' ? `与考试 ${exam} 的题目相同` : `Repeats words of the exam ${exam}`;
}

/** An identifier as words, for vocabularies without a list, such as the topics of the behaviour spec. */
export function humanize(id: string): string {
  return id.replaceAll('_', ' ');
}

/** The name of a language in itself, by its code. */
export function languageName(code: string): string {
  try {
    return new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;
  } catch {
    return code;
  }
}
