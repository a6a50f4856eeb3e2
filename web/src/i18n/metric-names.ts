/**
 * Names, units and meanings of the metrics of training runs and exams. A metric that is not listed is shown by its identifier in words,
 * since a server that is newer than the page may send others.
 */
import { language } from '.';

type Text = readonly [english: string, chinese: string];
interface Entry {
  name: Text;
  unit?: keyof typeof UNITS;
  meaning?: Text;
}

export interface MetricInfo {
  name: string;
  /** Empty for a metric without a unit. */
  unit: string;
  /** One sentence; empty if the name says enough. */
  meaning: string;
}

const UNITS = {
  nats: ['nats', '奈特'],
  natsPerToken: ['nats per token', '奈特/词元'],
  share: ['share, 0 to 1', '比例，0 至 1'],
  tokens: ['tokens', '词元'],
  tokensPerS: ['tokens per second', '词元/秒'],
  seconds: ['seconds', '秒'],
  points: ['points', '分'],
  count: ['count', '个'],
} as const satisfies Record<string, Text>;

const METRICS: Readonly<Record<string, Entry>> = {
  loss: {
    name: ['Loss', '损失'],
    unit: 'nats',
    meaning: ['What the training makes smaller. Lower means that the model fits its lessons better.', '训练所要减小的量。越低，模型越贴合所学内容。'],
  },
  accuracy: {
    name: ['Accuracy', '准确率'],
    unit: 'share',
    meaning: ['How often the model prefers what people preferred.', '模型与人们的偏好一致的比例。'],
  },
  score: { name: ['Score', '分数'], unit: 'points', meaning: ['Higher is better.', '越高越好。'] },
  strict_mean: { name: ['Strict score', '严格分数'], unit: 'share' },
  reward: {
    name: ['Reward', '奖励'],
    unit: 'points',
    meaning: ['The mean reward of the sampled answers. Higher is better.', '采样回答的平均奖励，越高越好。'],
  },
  pass_rate: {
    name: ['Pass rate', '通过率'],
    unit: 'share',
    meaning: ['The share of sampled answers that solve their task.', '采样回答中解出任务的比例。'],
  },
  margin: {
    name: ['Preference margin', '偏好差距'],
    unit: 'nats',
    meaning: [
      'How much more likely than before the preferred answer has become, against the other one.',
      '与另一个回答相比，较好回答的可能性比训练前增大了多少。',
    ],
  },
  kl: {
    name: ['Distance from the starting model (KL)', '与起始模型的距离（KL）'],
    unit: 'natsPerToken',
    meaning: [
      'How far the answers have moved away from the model before training. It should stay small.',
      '回答偏离训练前模型的程度，应当保持较小。',
    ],
  },
  entropy: {
    name: ['Entropy', '熵'],
    unit: 'natsPerToken',
    meaning: ['How undecided the model is between words. Near zero, it no longer tries anything new.', '模型选词时的不确定程度。接近零时，它不再尝试新的说法。'],
  },
  grad_norm: {
    name: ['Gradient norm', '梯度范数'],
    meaning: ['The size of the update before it is limited. Spikes are a warning.', '限幅之前更新的大小，突然升高是警告信号。'],
  },
  learning_rate: {
    name: ['Learning rate', '学习率'],
    meaning: ['The size of a step, as planned.', '每一步的步长，按计划变化。'],
  },
  tokens: { name: ['Tokens in the step', '本步词元数'], unit: 'tokens' },
  tokens_per_s: { name: ['Training speed', '训练速度'], unit: 'tokensPerS' },
  duration_s: { name: ['Time of the step', '本步用时'], unit: 'seconds' },
  seconds: { name: ['Time', '用时'], unit: 'seconds' },
  rollouts_s: { name: ['Time for sampling', '采样用时'], unit: 'seconds' },
  update_s: { name: ['Time for the update', '更新用时'], unit: 'seconds' },
  reference_point: { name: ['Reference point (KTO)', '参考点（KTO）'], unit: 'nats' },
  anchor_kl: {
    name: ['Change on everyday questions (KL)', '在日常问题上的变化（KL）'],
    unit: 'natsPerToken',
    meaning: [
      'How far the answers to questions outside the lessons have moved away from the model before training. Near 0, it forgets nothing there.',
      '对课程以外问题的回答偏离训练前模型的程度。接近 0 时，它在那里什么也没有忘记。',
    ],
  },
  probability: {
    name: ['Probability of the taught words', '所教词语的概率'],
    unit: 'share',
    meaning: [
      'How likely the model is to write each next word of a lesson as the lesson has it. Near 1, it has learnt the lesson.',
      '模型按课程写出每个后续词的平均可能性。接近 1 时，它已学会这条课程。',
    ],
  },
  nll: {
    name: ['Surprise at the taught words', '对所教词语的意外程度'],
    unit: 'natsPerToken',
    meaning: [
      'How little the model expected the words that it learns from (negative log-likelihood). Lower is better; 0 means that it expected each of them.',
      '模型对所学词语有多意外（负对数似然）。越低越好，0 表示每个词都在预料之中。',
    ],
  },
  value_loss: { name: ['Loss of the value estimate', '价值估计的损失'] },
  ratio: {
    name: ['Probability ratio', '概率比'],
    meaning: ['New against old probability of the sampled words. It should stay near 1.', '采样词元新旧概率之比，应接近 1。'],
  },
  clipped: { name: ['Clipped updates', '被截断的更新'], unit: 'share' },
  engine_ratio: {
    name: ['Engine against trainer', '引擎与训练器之比'],
    meaning: ['Whether both give the same probabilities. It should stay near 1.', '两者给出的概率是否一致，应接近 1。'],
  },
  truncated: { name: ['Answers cut off', '被截断的回答'], unit: 'share' },
  length: { name: ['Length of answers', '回答长度'], unit: 'tokens' },
  rollouts: { name: ['Sampled answers', '采样回答数'], unit: 'count' },
  kept: { name: ['Answers learnt from', '用于学习的回答数'], unit: 'count' },
  teaching_groups: {
    name: ['Tasks that teach', '有教学价值的任务'],
    unit: 'count',
    meaning: ['Tasks that the model solves sometimes but not always.', '模型有时能解、有时不能解的任务。'],
  },
  attempts: { name: ['Sampling attempts', '采样次数'], unit: 'count' },
  capped: {
    name: ['Stopped by the KL limit', '因 KL 上限而停止'],
    meaning: ['1 where nothing was learnt because the model had moved too far.', '为 1 表示因偏离过远而未再学习。'],
  },
  warming: { name: ['Warm-up of the value estimate', '价值估计预热'] },
};

/** The loss of methods that learn from their own samples: it steers the step and measures nothing. */
const POLICY_LOSS: Entry = {
  name: ['Policy loss', '策略损失'],
  meaning: ['It steers the step. Its size says little: see the reward.', '它只用于引导更新，大小本身意义不大，请看奖励。'],
};
const SAMPLING_METHODS: ReadonlySet<string> = new Set(['grpo', 'ppo', 'rejection']);

/** The scores of validations: what is measured depends on the method. */
const VALIDATION_SCORES: Readonly<Record<string, Entry>> = {
  sampling: { name: ['Pass rate on held-out tasks', '留存任务的通过率'], unit: 'share', meaning: ['Higher is better.', '越高越好。'] },
  lessons: {
    name: ['Score on held-out lessons', '留存课程上的分数'],
    unit: 'nats',
    meaning: ['The negative of the loss: closer to zero is better.', '损失的相反数，越接近零越好。'],
  },
};
const HELD_OUT: Text = ['{name} on held-out lessons', '留存课程上的{name}'];

/** Describes a metric. `method` is the training method of the run that it belongs to. */
export function metricInfo(id: string, method = ''): MetricInfo {
  const at = language.get() === 'zh' ? 1 : 0;
  const samples = SAMPLING_METHODS.has(method);
  const heldOut = id.startsWith('validation_');
  const own = heldOut ? id.slice('validation_'.length) : id;
  const entry =
    heldOut && own === 'score'
      ? VALIDATION_SCORES[samples ? 'sampling' : 'lessons']!
      : own === 'loss' && samples
        ? POLICY_LOSS
        : Object.hasOwn(METRICS, own)
          ? METRICS[own]!
          : null;
  if (!entry) return { name: own.replaceAll('_', ' '), unit: '', meaning: '' };
  const name = heldOut && own !== 'score' ? HELD_OUT[at].replace('{name}', entry.name[at]) : entry.name[at];
  return { name, unit: entry.unit ? UNITS[entry.unit][at] : '', meaning: entry.meaning?.[at] ?? '' };
}
