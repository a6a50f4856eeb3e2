/**
 * Names of models for people. An identifier such as `smollm2-135m-instruct-q4_1` becomes "SmolLM2 135M Instruct". The identifier stays
 * within reach: wherever a name is shown, the identifier is its tooltip or stands beside it.
 */

const WORDS: Readonly<Record<string, string>> = {
  ai: 'AI',
  deepseek: 'DeepSeek',
  gemma: 'Gemma',
  glm: 'GLM',
  gpt: 'GPT',
  gpt2: 'GPT-2',
  llama: 'Llama',
  moe: 'MoE',
  olmo: 'OLMo',
  openchat: 'OpenChat',
  qwq: 'QwQ',
  smollm: 'SmolLM',
  smollm2: 'SmolLM2',
  smollm3: 'SmolLM3',
  tinyllama: 'TinyLlama',
  vl: 'VL',
};

const FORMAT = /[-_.:](?:i?q\d(?:_[0-9a-z]+)*|[bf]f?p?16|f(?:p)?(?:8|32)|int[48]|awq|gptq|gguf|mlx|latest|\d+bit)$/i;
const ADAPTER_CHARS = 6;

const titles = new Map<string, string>();

/** Takes in the titles that the server has for its models. */
export function registerTitles(models: readonly { id: string; title: string }[]): void {
  for (const { id, title } of models) if (title !== id) titles.set(id, title);
}

/** The server's title of a model, or its name made from the identifier if the title is missing or only the identifier again. */
export function modelTitle(id: string, title: string | null): string {
  return title && title !== id ? title : modelName(id);
}

/** The name of a model for people: the server's title, or words made from the identifier if the server no longer has the model. */
export function modelName(id: string): string {
  return titles.get(id) || nameFromId(id);
}

/** Makes words from an identifier. The adapter of a trained model follows after a "+". */
export function nameFromId(id: string): string {
  const [base = '', adapter] = id.split('+', 2);
  let name = base.slice(base.lastIndexOf('/') + 1) || base;
  while (FORMAT.test(name)) name = name.replace(FORMAT, '');
  const words = name.split(/[-_:\s]+/).filter(Boolean);
  const text = words.map(wordOf).join(' ').replace(/^GPT (?=\S)/, 'GPT-') || id;
  return adapter ? `${text} + ${adapter.slice(0, ADAPTER_CHARS)}` : text;
}

function wordOf(word: string): string {
  const known = WORDS[word.toLowerCase()];
  if (known) return known;
  if (/^\d+(?:\.\d+)?[bmkt]$/i.test(word) || /^a\d+(?:\.\d+)?b$/i.test(word)) return word.toUpperCase();
  return /^[a-z]/.test(word) && !/[A-Z]/.test(word) ? word[0]!.toUpperCase() + word.slice(1) : word;
}

/** The size in a model's identifier, in billions of parameters; null if it names none. */
export function parametersInBillions(id: string): number | null {
  const found = /(?:^|[-_:/])(\d+(?:\.\d+)?)([bm])(?=$|[-_:.+])/i.exec(id);
  if (!found) return null;
  return Number(found[1]) * (found[2]!.toLowerCase() === 'm' ? 0.001 : 1);
}
