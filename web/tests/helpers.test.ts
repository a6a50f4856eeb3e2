import { describe, expect, it } from 'vitest';
import { ApiError } from '../src/api/client';
import { safeRedirect } from '../src/api/session';
import { noteText } from '../src/features/chat/feedback';
import { periodOf } from '../src/features/chat/chat-list';
import { interpolate, formatDuration, formatPercent, language } from '../src/i18n';
import { displayName, dropReasonName } from '../src/i18n/display-names';
import { specLabelName } from '../src/i18n/spec-labels';
import { safeAddress, shortAddress } from '../src/ui/markdown/links';
import { ticksOf } from '../src/features/learning/interval-plot';
import { describeError } from '../src/ui/error-message';

describe('interpolate', () => {
  it('fills in values, with the word that fits the number', () => {
    expect(interpolate('{n} {n|chat|chats} of {who}', { n: 1, who: '{n}' })).toBe('1 chat of {n}');
    expect(interpolate('{n} {n|chat|chats}', { n: 1200 })).toBe('1,200 chats');
    expect(formatDuration(3725)).toBe('1:02:05');
  });
});

describe('displayName', () => {
  it('names what the server calls by identifiers, in both languages', () => {
    expect(displayName('finishReason', 'stop')).toBe('Complete');
    expect(displayName('importSource', 'open_webui')).toBe('Open WebUI');
    expect(specLabelName('confident_wrong')).toBe('Wrong and certain');
    language.set('zh');
    expect(displayName('finishReason', 'stop')).toBe('正常结束');
    language.set('en');
  });

  it('says why a judgement gave no lesson, and names the exam that it would repeat', () => {
    expect(dropReasonName('people_are_divided')).toBe('People are divided');
    expect(dropReasonName('in_the_exam_truthfulqa-mc')).toBe('Repeats words of the exam truthfulqa-mc');
    language.set('zh');
    expect(dropReasonName('nothing_decided')).toBe('尚无定论');
    expect(dropReasonName('in_the_exam_truthfulqa-mc')).toBe('与考试 truthfulqa-mc 的题目相同');
    language.set('en');
  });

  it('shows an unknown identifier as it is', () => {
    expect(displayName('finishReason', 'content_filter')).toBe('content_filter');
    expect(displayName('grader', 'toString')).toBe('toString');
    expect(specLabelName('new_label')).toBe('new_label');
  });
});

describe('safeAddress', () => {
  it('lets through what may be followed and nothing else', () => {
    expect(safeAddress('https://example.org/a')).toBe('https://example.org/a');
    expect(safeAddress('mailto:a@example.org')).toBe('mailto:a@example.org');
    for (const bad of [
      'javascript:alert(1)',
      ' JaVascript:alert(1)',
      'java\nscript:alert(1)',
      'data:text/html,x',
      'vbscript:x',
      'file:///etc',
      'blob:x',
      '/v1/me',
      '//evil.example',
      '',
      null,
    ]) {
      expect(safeAddress(bad)).toBeNull();
    }
    expect(shortAddress('https://www.example.org/')).toBe('example.org');
  });
});

describe('helpers', () => {
  it('go back only into this page', () => {
    expect(safeRedirect('/c/1?x=2')).toBe('/c/1?x=2');
    for (const bad of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)', null])
      expect(safeRedirect(bad)).toBe('/');
  });

  it('put a note together', () => {
    expect(noteText(' Words ', ['https://a.example ', ''], 'One\nTwo')).toBe(
      '> One\n> Two\n\nWords\n\nSources:\n- <https://a.example>',
    );
    expect(noteText('Words', [''])).toBe('Words');
  });

  it('name periods and ticks', () => {
    const now = new Date('2026-05-10T15:00:00');
    expect(periodOf('2026-05-10T00:00:01', now)).toBe('period.today');
    expect(periodOf('2026-05-09T23:00:00', now)).toBe('period.yesterday');
    expect(periodOf('2026-05-04T12:00:00', now)).toBe('period.week');
    expect(periodOf('2020-01-01T00:00:00', now)).toBe('period.older');
    expect(ticksOf(-0.06, 0.09)).toEqual([-0.05, 0, 0.05]);
    expect(ticksOf(0, 1)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
  });
});

describe('told', () => {
  const error = new ApiError(409, 'This name is taken.', 'conflict');

  it('leaves the server its words in English, and puts Chinese ones above them', () => {
    language.set('en');
    expect(describeError(error)).toEqual({ text: 'This name is taken.', detail: null });
    language.set('zh');
    expect(describeError(error)).toEqual({ text: '与现有内容冲突，操作未执行。', detail: 'This name is taken.' });
    expect(describeError(new ApiError(502, 'x', 'never heard of')).text).toBe('服务器出错了。');
    expect(describeError(new ApiError(418, 'x')).text).toBe('请求未被接受。');
    expect(describeError(new ApiError(0, 'unreachable')).detail).toBeNull();
    language.set('en');
  });

  it('writes a minus as one', () => {
    expect(formatPercent(-0.012, 1)).toBe('−1.2%');
  });
});
