/** Search in documents: the question, and the passages that answer it best. Each opens its document at the passage. */
import { useQuery } from '@tanstack/react-query';
import { Search, SearchX, X } from 'lucide-react';
import { useState } from 'react';
import { Link, useLocation } from 'wouter';
import type { DocumentHit } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { Button } from '../../ui/button';
import { Field } from '../../ui/fields';
import { EmptyState } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { type Asked, listAddress, passagesQuery, textAddress } from './documents';
import { useFolderOptions } from './use-places';

const MOST_CHARS = 4_000;

export function QuestionForm({ asked }: { asked: Asked }) {
  const t = useTranslation();
  const [, go] = useLocation();
  const folders = useFolderOptions();
  const [question, setQuestion] = useState(asked.question);
  const [folder, setFolder] = useState(asked.folder);
  const ask = () => {
    if (question.trim()) go(listAddress({ question: question.trim(), folder }));
  };
  return (
    <form
      className="card stack"
      role="search"
      aria-label={t('documents.searchIn')}
      onSubmit={(event) => {
        event.preventDefault();
        ask();
      }}
    >
      <h2>{t('documents.searchIn')}</h2>
      <div className="row documents-ask">
        <div className="grow">
          <Field label={t('documents.question')}>
            {(field) => (
              <input
                {...field}
                className="input"
                type="search"
                maxLength={MOST_CHARS}
                value={question}
                onChange={(event) => setQuestion(event.target.value)}
              />
            )}
          </Field>
        </div>
        {folders.length > 0 && (
          <Field label={t('documents.where')}>
            {(field) => (
              <select {...field} className="input" value={folder} onChange={(event) => setFolder(event.target.value)}>
                <option value="">{t('documents.everybody')}</option>
                {folders.map(([id, name]) => (
                  <option key={id} value={id}>
                    {t('documents.alsoEverybody', { name })}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
        <Button type="submit" icon={Search} disabled={!question.trim()}>
          {t('documents.ask')}
        </Button>
      </div>
    </form>
  );
}

export function Passages({ asked }: { asked: Asked }) {
  const t = useTranslation();
  const query = useQuery(passagesQuery(asked.question, asked.folder));
  return (
    <section className="stack" aria-label={t('documents.passages')}>
      <div className="row">
        <h2 className="grow">{t('documents.passages')}</h2>
        <Link href={listAddress({ question: '', folder: '' })} className="button small plain">
          <X size={16} aria-hidden="true" /> {t('documents.closeSearch')}
        </Link>
      </div>
      <QueryResult query={query}>
        {(found) =>
          found.data.length ? (
            <>
              {found.is_in_documents === false && (
                <p className="notice warn" role="status">
                  {t('documents.probablyNot')}
                </p>
              )}
              {!found.by_meaning && <p className="small muted">{t('documents.wordsAlone')}</p>}
              <ul className="list cards">
                {found.data.map((hit) => (
                  <Passage key={`${hit.document} ${hit.start}`} hit={hit} asked={asked} />
                ))}
              </ul>
            </>
          ) : (
            <EmptyState icon={SearchX} title={t('documents.noPassages')} text={t('documents.noPassagesText')} />
          )
        }
      </QueryResult>
    </section>
  );
}

function Passage({ hit, asked }: { hit: DocumentHit; asked: Asked }) {
  const t = useTranslation();
  const where = [hit.page === null ? '' : t('documents.page', { n: hit.page }), hit.label].filter(Boolean).join(' · ');
  return (
    <li className="stack tight">
      <p className="document-name">
        <Link href={textAddress(hit.document, asked, { version: hit.text_sha256, start: hit.start, end: hit.end })}>
          {where ? `${hit.title} · ${where}` : hit.title}
        </Link>
      </p>
      <p className="document-words">{hit.text.trim()}</p>
    </li>
  );
}
