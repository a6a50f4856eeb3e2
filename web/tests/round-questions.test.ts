import { describe, expect, it } from 'vitest';
import { answersIn, decodeUtf8, linesFromQuestions, questionsFromLines, withoutRepetitions } from '../src/features/teaching/round-questions';

const plain = (...questions: string[]) => questions.map((question) => ({ question, answer: '' }));

describe('questions of a round', () => {
  it('takes one question a line, each once, without empty lines', () => {
    expect(questionsFromLines(' One? \r\n\nTwo?\rOne?\n')).toEqual(plain('One?', 'Two?'));
    expect(questionsFromLines(' \n ')).toEqual([]);
  });

  it('keeps a question with a line break as one when it goes into the field', () => {
    expect(questionsFromLines(linesFromQuestions(plain('One,\ntwo?', 'Three?')))).toEqual(plain('One, two?', 'Three?'));
  });

  it('keeps the first of equal questions, and equal questions with other answers', () => {
    const questions = [
      { question: 'One?', answer: 'a' },
      { question: 'One?', answer: 'b' },
      { question: 'One?', answer: 'a' },
    ];
    expect(withoutRepetitions(questions)).toEqual(questions.slice(0, 2));
  });

  it('tells whether all questions have an answer', () => {
    expect(answersIn(plain('a', 'b'))).toBe('none');
    expect(answersIn([{ question: 'a', answer: ' ' }, { question: 'b', answer: 'c' }])).toBe('some');
    expect(answersIn([{ question: 'b', answer: 'c' }])).toBe('all');
  });

  it('refuses a file that is not UTF-8', () => {
    expect(decodeUtf8(new TextEncoder().encode('é 你').buffer)).toBe('é 你');
    expect(decodeUtf8(new Uint8Array([0xe9, 0x20]).buffer)).toBeNull();
  });
});
