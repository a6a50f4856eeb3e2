/** What the models of the catalogue are for, in Chinese. English shows the server's text. A test finds models that are missing here. */
import { language } from '.';

const CHINESE: Readonly<Record<string, string>> = {
  'smollm2-135m-instruct': '任何机器都能运行的对话模型。它很小：知道得少，也常出错。',
  'smollm2-1.7b-instruct': '适合小型机器的英文对话模型。',
  'smollm3-3b': '六种欧洲语言的对话模型，可选择先思考再回答。',
  'qwen3.5-0.8b': '适合小型机器的多语言对话模型，支持中文。',
  'qwen3.5-2b': '多语言对话模型，支持中文。',
  'qwen3.5-4b': '多语言对话、工具与代码模型，支持中文。',
  'qwen3-4b-instruct-2507': '多语言对话、工具与代码模型，支持中文；8 位权重，更慢，但更接近原模型。',
  'granite-4.0-micro': '面向办公的对话、工具与摘要模型，支持十二种语言。',
  'gemma-3-270m-it': '任何机器都能运行的对话模型，适合短文本和简单任务。',
  'gemma-3-1b-it': '适合小型机器的多语言对话模型。',
  'gemma-3-4b-it': '多语言对话模型。',
  'multilingual-e5-small': '按意思查找文字，支持一百种语言：用于查找更正，也供其他程序搜索。它不写回答。',
};

export function modelPurpose(name: string, english: string): string {
  const chinese = Object.hasOwn(CHINESE, name) ? CHINESE[name] : undefined;
  return (language.get() === 'zh' && chinese) || english;
}
