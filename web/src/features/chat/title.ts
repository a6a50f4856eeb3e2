const MOST_CHARS = 60;

/** The title of a chat until the server has sent one: the beginning of its question, cut at the end of a word, as the server does. */
export function titleOf(question: string): string {
  const chars = [...question.split(/\s+/).filter(Boolean).join(' ')];
  if (chars.length <= MOST_CHARS) return chars.join('');
  const cut = chars.slice(0, MOST_CHARS - 1).join('');
  const space = cut.lastIndexOf(' ');
  return `${space >= MOST_CHARS / 2 ? cut.slice(0, space) : cut}…`;
}
