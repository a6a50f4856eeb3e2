import { describe, expect, it } from 'vitest';
import type { LessonSet, MetricsLine } from '../src/api/types';
import { resolveModel } from '../src/features/chat/answer-options';
import { matchingModels } from '../src/features/chat/model-dialog';
import { titleOf } from '../src/features/chat/title';
import { runVerdict } from '../src/features/learning/run-verdict';
import { formatBytes, formatParameters, language } from '../src/i18n';
import { metricInfo } from '../src/i18n/metric-names';
import { modelName, nameFromId, parametersInBillions, registerTitles } from '../src/i18n/model-names';

describe('nameFromId', () => {
  it.each([
    ['smollm2-135m-instruct', 'SmolLM2 135M Instruct'],
    ['smollm2-1.7b-instruct-q4_k_m', 'SmolLM2 1.7B Instruct'],
    ['qwen3-4b-instruct-2507', 'Qwen3 4B Instruct 2507'],
    ['hf.co/bartowski/Qwen_Qwen3.5-0.8B-GGUF:Q4_K_M', 'Qwen Qwen3.5 0.8B'],
    ['openai/gpt-4o', 'GPT-4o'],
    ['llama3.2:latest', 'Llama3.2'],
    ['granite-4.0-micro', 'Granite 4.0 Micro'],
    ['deepseek/deepseek-r1', 'DeepSeek R1'],
    ['smollm2-135m-instruct+1a2b3c4d5e', 'SmolLM2 135M Instruct + 1a2b3c'],
    ['models/', 'Models/'],
    ['q8_0', 'Q8 0'],
  ])('%s', (id, name) => expect(nameFromId(id)).toBe(name));

  it('gives way to the title that the server has', () => {
    registerTitles([
      { id: 'a-1b', title: 'Model A' },
      { id: 'b-1b', title: 'b-1b' },
    ]);
    expect(modelName('a-1b')).toBe('Model A');
    expect(modelName('b-1b')).toBe('B 1B');
  });

  it('finds the size', () => {
    expect(parametersInBillions('smollm2-135m-instruct')).toBeCloseTo(0.135);
    expect(parametersInBillions('hosted/qwen3-4b-instruct-2507')).toBe(4);
    expect(parametersInBillions('gpt-4o')).toBeNull();
  });
});

it('resolveModel keeps to the conversation and never changes the model in silence', () => {
  expect(resolveModel(undefined, 'a')).toEqual({ id: 'a', isChosen: true, missing: null });
  expect(resolveModel(['d', 'a'], 'a')).toEqual({ id: 'a', isChosen: true, missing: null });
  expect(resolveModel(['d', 'a'], null)).toEqual({ id: 'd', isChosen: false, missing: null });
  expect(resolveModel(['d', 'a'], 'gone')).toEqual({ id: 'd', isChosen: false, missing: 'gone' });
});

it('matchingModels finds by words of the name or of the identifier', () => {
  const ids = ['openai/gpt-4o', 'hosted/family-8b-chat', 'hosted/family-2b-chat'];
  expect(matchingModels(ids, 'family 8b')).toEqual(['hosted/family-8b-chat']);
  expect(matchingModels(ids, 'HOSTED')).toHaveLength(2);
  expect(matchingModels(ids, '')).toHaveLength(3);
});

it('titleOf cuts as the server does', () => {
  expect(titleOf('  Two\n words ')).toBe('Two words');
  expect(titleOf(`${'word '.repeat(20)}`)).toBe(`${'word '.repeat(11).trimEnd()}…`);
  expect(titleOf('x'.repeat(80))).toBe(`${'x'.repeat(59)}…`);
  expect(titleOf('😀'.repeat(80))).toBe(`${'😀'.repeat(59)}…`);
});

describe('runVerdict', () => {
  const line = (step: number, more: object) => ({ step, time_utc: '', ...more }) as MetricsLine & Record<string, unknown>;
  const steps = (count: number) => Array.from({ length: count }, (_, at) => line(at + 1, { loss: 0.7 }));
  const sets = [{ hash: 'few', train: { pair: 1 } }, { hash: 'many', train: { pair: 400 } }] as unknown as LessonSet[];
  const verdict = (lesson_set: string, lines: (MetricsLine & Record<string, unknown>)[], state = 'finished') =>
    runVerdict({ state: state as 'finished', lesson_set }, lines, sets);

  it('says nothing of a run that is not finished', () => expect(verdict('many', steps(50), 'stopped')).toBeNull());
  it('says that one lesson and one step prove nothing', () => {
    expect(verdict('few', steps(1))).toEqual({ key: 'verdict.fewLessons', values: { lessons: 1, steps: 1 }, tone: 'warn' });
    expect(verdict('many', steps(1))?.key).toBe('verdict.fewSteps');
  });
  it('judges by held-out lessons only', () => {
    expect(verdict('many', steps(50))?.key).toBe('verdict.notMeasured');
    const held = (from: number, to: number) => [line(0, { validation_loss: from }), ...steps(50), line(51, { validation_loss: to })];
    expect(verdict('many', held(0.69, 0.6))?.key).toBe('verdict.lossBetter');
    expect(verdict('many', held(0.69, 0.75))?.key).toBe('verdict.lossWorse');
    expect(verdict('many', held(0.69, 0.688))?.key).toBe('verdict.lossSame');
    const scored = [line(0, { validation_score: 0.2 }), ...steps(50), line(51, { validation_score: 0.5 })];
    expect(verdict('', scored)?.key).toBe('verdict.scoreBetter');
  });
});

it('metricInfo names metrics, with units, in both languages', () => {
  expect(metricInfo('kl').name).toBe('Distance from the starting model (KL)');
  expect(metricInfo('grad_norm').name).toBe('Gradient norm');
  expect(metricInfo('validation_loss', 'dpo')).toMatchObject({ name: 'Loss on held-out lessons', unit: 'nats' });
  expect(metricInfo('validation_score', 'grpo').name).toBe('Pass rate on held-out tasks');
  expect(metricInfo('loss', 'grpo').name).toBe('Policy loss');
  expect(metricInfo('something_new').name).toBe('something new');
  expect(metricInfo('constructor').name).toBe('constructor');
  language.set('zh');
  expect(metricInfo('grad_norm').name).toBe('梯度范数');
  language.set('en');
});

it('sizes are said as people say them', () => {
  expect(formatBytes(145_000_000)).toBe('145 MB');
  expect(formatBytes(2_430_000_000)).toBe('2.4 GB');
  expect(formatBytes(0)).toBe('0 byte');
  expect(formatParameters(134_515_008)).toBe('135M');
  expect(formatParameters(1_700_000_000)).toBe('1.7B');
});
