/** Display names for identifiers that the server sends. Unknown identifiers are shown as they are. */
import { language } from '.';

const CHINESE: Readonly<Record<string, string>> = {
  loss: '损失',
  accuracy: '准确率',
  reward: '奖励',
  score: '分数',
  validation_score: '验证分数',
  pass_rate: '通过率',
  kl: 'KL 散度',
  entropy: '熵',
  margin: '间隔',
  learning_rate: '学习率',
  grad_norm: '梯度范数',
  gradient_norm: '梯度范数',
  tokens_per_s: '每秒词元数',
  seconds: '秒',
  user: '用户',
  assistant: '助手',
  system: '系统',
  tool: '工具',
  wrong: '错误',
  right: '正确',
};

export function displayName(name: string): string {
  return (language.get() === 'zh' && CHINESE[name]) || name.replaceAll('_', ' ');
}
