/** The dialog that starts a round: title, questions, how the two answers differ, and how many people rate each pair. */
import { useQuery } from '@tanstack/react-query';
import { FileUp, Plus, Trash2 } from 'lucide-react';
import { useRef, useState } from 'react';
import { useLocation } from 'wouter';
import { api } from '../../api/client';
import { modelsQuery, queryClient } from '../../api/queries';
import type { RoundRequest } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/rounds';
import { Button, IconButton } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { Field, SegmentedControl } from '../../ui/fields';
import { toast, toastError } from '../../ui/toast';
import {
  answersIn,
  decodeUtf8,
  linesFromQuestions,
  MAX_FILE_BYTES,
  MAX_QUESTIONS,
  type Question,
  questionsFromLines,
  withoutRepetitions,
} from './round-questions';
import { QuestionSuggestions } from './question-suggestions';

type Method = NonNullable<RoundRequest['method']>;
const METHODS: readonly Method[] = ['sampling', 'models', 'wanted'];
const MAX_PEOPLE = 50;

export function NewRoundDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  const [, navigate] = useLocation();
  const models = useQuery(modelsQuery).data?.data ?? [];
  const [title, setTitle] = useState('');
  const [method, setMethod] = useState<Method>('sampling');
  const [chosen, setChosen] = useState<readonly [string, string]>(['', '']);
  const [text, setText] = useState('');
  const [written, setWritten] = useState<Question[]>([{ question: '', answer: '' }]);
  const [people, setPeople] = useState('3');

  const withAnswers = method === 'wanted';
  const questions = withAnswers ? withoutRepetitions(written.filter((one) => one.question.trim())) : questionsFromLines(text);
  const pair = [chosen[0] || models[0]?.id || '', chosen[1] || models[1]?.id || ''] as const;
  const count = Number(people);
  const isComplete =
    title.trim() !== '' &&
    questions.length > 0 &&
    questions.length <= MAX_QUESTIONS &&
    Number.isInteger(count) &&
    count >= 1 &&
    count <= MAX_PEOPLE &&
    (!withAnswers || answersIn(questions) === 'all') &&
    (method !== 'models' || (pair[0] !== pair[1] && pair[1] !== ''));

  /** Adds questions to those that are there. Switches to the method that they need. */
  const add = (added: readonly Question[]) => {
    const kind = answersIn(added);
    if (kind === 'some') {
      toastError(new Error(t('rounds.fileMixed')));
      return;
    }
    const before = questions.length;
    let after: Question[];
    if (kind === 'all' || withAnswers) {
      const kept = withAnswers ? written : questionsFromLines(text);
      after = withoutRepetitions([...kept, ...added].filter((one) => one.question.trim()));
      setWritten(after);
      setMethod('wanted');
    } else {
      after = withoutRepetitions([...questionsFromLines(text), ...questionsFromLines(linesFromQuestions(added))]);
      setText(linesFromQuestions(after));
    }
    toast(t('rounds.added', { n: Math.max(0, after.length - before) }));
  };

  const start = async () => {
    const made = await api.post('/v1/rounds', {
      body: {
        title: title.trim(),
        questions: questions.map((one) => (withAnswers ? one : { question: one.question })),
        people_per_pair: count,
        method,
        models: method === 'models' ? [...pair] : [],
      },
    });
    await queryClient.invalidateQueries({ queryKey: ['rounds'] });
    toast(t('rounds.started'));
    onClose();
    navigate(`/rounds/${made.id}`);
  };

  return (
    <FormDialog title={t('rounds.new')} action={t('rounds.start')} disabled={!isComplete} onSubmit={start} onClose={onClose}>
      <Field label={t('rounds.title')} hint={t('rounds.titleHint')}>
        {(field) => (
          <input {...field} className="input" maxLength={100} value={title} onChange={(event) => setTitle(event.target.value)} />
        )}
      </Field>
      <SegmentedControl
        legend={t('rounds.method')}
        value={method}
        onChange={setMethod}
        options={METHODS.filter((one) => one !== 'models' || models.length > 1).map(
          (one) => [one, t(`rounds.method.${one}`)] as const,
        )}
      />
      <p className="small muted">{t(`rounds.methodText.${method}`)}</p>
      {method === 'models' && (
        <div className="row">
          {([0, 1] as const).map((place) => (
            <div key={place} className="grow">
              <Field label={t(place === 0 ? 'rounds.firstModel' : 'rounds.secondModel')}>
                {(field) => (
                  <select
                    {...field}
                    className="input"
                    value={pair[place]}
                    onChange={(event) =>
                      setChosen(place === 0 ? [event.target.value, pair[1]] : [pair[0], event.target.value])
                    }
                  >
                    {models.map((model) => (
                      <option key={model.id} value={model.id}>
                        {model.title ?? model.id}
                      </option>
                    ))}
                  </select>
                )}
              </Field>
            </div>
          ))}
        </div>
      )}
      {withAnswers ? (
        <WrittenAnswers questions={written} onChange={setWritten} />
      ) : (
        <Field label={t('rounds.questions')} hint={t('rounds.questionsHint')}>
          {(field) => (
            <textarea {...field} className="input" rows={6} value={text} onChange={(event) => setText(event.target.value)} />
          )}
        </Field>
      )}
      <QuestionFile onRead={add} />
      <QuestionSuggestions onAdd={(added) => add(added.map((question) => ({ question, answer: '' })))} />
      <Field label={t('rounds.peoplePerPair')} hint={t('rounds.peopleHint')}>
        {(field) => (
          <input
            {...field}
            className="input"
            type="number"
            min={1}
            max={MAX_PEOPLE}
            value={people}
            onChange={(event) => setPeople(event.target.value)}
          />
        )}
      </Field>
      <p className="small" role="status">
        {questions.length > 0 && count >= 1 && t('rounds.sum', { n: questions.length, all: questions.length * count })}
      </p>
    </FormDialog>
  );
}

function WrittenAnswers({ questions, onChange }: { questions: Question[]; onChange: (questions: Question[]) => void }) {
  const t = useTranslation();
  const change = (index: number, part: Partial<Question>) =>
    onChange(questions.map((one, place) => (place === index ? { ...one, ...part } : one)));
  return (
    <fieldset className="field">
      <legend>{t('rounds.questions')}</legend>
      <ol className="stack">
        {questions.map((one, index) => (
          <li key={index} className="row nowrap align-top">
            <div className="grow stack">
              <Field label={t('rounds.questionN', { n: index + 1 })}>
                {(field) => (
                  <textarea
                    {...field}
                    className="input"
                    rows={2}
                    maxLength={2000}
                    value={one.question}
                    onChange={(event) => change(index, { question: event.target.value })}
                  />
                )}
              </Field>
              <Field label={t('rounds.answerN', { n: index + 1 })}>
                {(field) => (
                  <textarea
                    {...field}
                    className="input"
                    rows={3}
                    maxLength={8000}
                    value={one.answer}
                    onChange={(event) => change(index, { answer: event.target.value })}
                  />
                )}
              </Field>
            </div>
            {questions.length > 1 && (
              <IconButton
                icon={Trash2}
                label={t('rounds.removeQuestion', { n: index + 1 })}
                onClick={() => onChange(questions.filter((_, place) => place !== index))}
              />
            )}
          </li>
        ))}
      </ol>
      {questions.length < MAX_QUESTIONS && (
        <Button size="small" icon={Plus} onClick={() => onChange([...questions, { question: '', answer: '' }])}>
          {t('rounds.addQuestion')}
        </Button>
      )}
    </fieldset>
  );
}

function QuestionFile({ onRead }: { onRead: (questions: Question[]) => void }) {
  const t = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const read = async (file: File | undefined) => {
    if (!file) return;
    setBusy(true);
    try {
      if (file.size > MAX_FILE_BYTES) throw new Error(t('rounds.fileTooLarge'));
      const csv = decodeUtf8(await file.arrayBuffer());
      if (csv === null) throw new Error(t('rounds.fileEncoding'));
      onRead((await api.post('/v1/rounds/questions', { body: { csv } })).data);
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
      if (input.current) input.current.value = '';
    }
  };
  return (
    <div className="field">
      <input
        ref={input}
        type="file"
        accept=".csv,.tsv,.txt,text/csv,text/plain"
        hidden
        aria-label={t('rounds.fromFile')}
        onChange={(event) => void read(event.target.files?.[0])}
      />
      <div>
        <Button size="small" icon={FileUp} busy={busy} onClick={() => input.current?.click()}>
          {t('rounds.fromFile')}
        </Button>
      </div>
      <span className="hint">{t('rounds.fileHint')}</span>
    </div>
  );
}
