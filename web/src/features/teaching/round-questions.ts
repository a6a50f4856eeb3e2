/** The questions of a new round, while somebody collects them. */

export const MAX_QUESTIONS = 200;
export const MAX_FILE_BYTES = 1_000_000;

export type Question = { question: string; answer: string };

/** The questions in a text with one question a line. */
export function questionsFromLines(text: string): Question[] {
  return withoutRepetitions(
    text
      .split(/\r\n|\r|\n/)
      .map((line) => ({ question: line.trim(), answer: '' }))
      .filter((one) => one.question),
  );
}

/** The text with one question a line, for the field in which they are typed. A line break inside a question becomes a space. */
export function linesFromQuestions(questions: readonly Question[]): string {
  return questions.map((one) => one.question.replace(/\s+/g, ' ')).join('\n');
}

/** The questions, each once: the first of equal ones stays. */
export function withoutRepetitions(questions: readonly Question[]): Question[] {
  const seen = new Set<string>();
  return questions.filter((one) => {
    const key = JSON.stringify([one.question, one.answer]);
    return !seen.has(key) && seen.add(key);
  });
}

/** Whether all questions have an answer, none has, or only some. */
export function answersIn(questions: readonly Question[]): 'all' | 'none' | 'some' {
  const count = questions.filter((one) => one.answer.trim()).length;
  return count === 0 ? 'none' : count === questions.length ? 'all' : 'some';
}

/** The text of a file, or null if it is not UTF-8. */
export function decodeUtf8(bytes: ArrayBuffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
