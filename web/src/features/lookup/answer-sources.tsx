/** The sources of an answer: numbers in its text, a card for each, and what stands in none of them. */
import { BookText, FileX, Globe, MessageCircle } from 'lucide-react';
import { type ReactNode, useCallback } from 'react';
import { Link } from 'wouter';
import { queryClient } from '../../api/queries';
import type { AnswerSources, CitedSource } from '../../api/types';
import { formatDate, formatNumber, useTranslation } from '../../i18n';
import { safeAddress, shortAddress } from '../../ui/markdown/links';
import type { RenderMark } from '../../ui/markdown/markdown';
import { cutIntoBlocks, textQuery } from '../documents/documents';
import { useWayBack } from './use-way-back';
import { missingWords, sourceAddress, unsupportedSentences } from './sources';

/** Returns what shows the numbers behind a claim. */
export function useCitationNumbers(sources: AnswerSources | null): RenderMark {
  const citations = sources?.citations;
  return useCallback(
    (label: string) => {
      const numbers = label.split(' ').map(Number);
      const cited = numbers.flatMap((number) => citations?.find((one) => one.number === number) ?? []);
      return <CitationNumbers cited={cited} />;
    },
    [citations],
  );
}

function CitationNumbers({ cited }: { cited: readonly CitedSource[] }) {
  const t = useTranslation();
  return cited.map((source) => (
    <Opens
      key={source.number}
      source={source}
      className={source.removed ? 'citation gone' : 'citation'}
      label={t(source.removed ? 'sources.numberGone' : 'sources.number', { n: source.number, title: source.title })}
    >
      {`[${source.number}]`}
    </Opens>
  ));
}

/** Opens a source at its words: a document in this page, anything else in another one. */
function Opens({ source, className, label, children }: { source: CitedSource; className: string; label?: string; children: ReactNode }) {
  const address = sourceAddress(source, useWayBack());
  const names = label === undefined ? {} : { 'aria-label': label, title: label };
  if (!address)
    return (
      <span className={className} {...(label === undefined ? {} : { role: 'note' })} {...names}>
        {children}
      </span>
    );
  if (address.isElsewhere)
    return (
      <a className={className} href={address.href} target="_blank" rel="noopener noreferrer nofollow ugc" {...names}>
        {children}
      </a>
    );
  return (
    <Link className={className} href={address.href} {...names}>
      {children}
    </Link>
  );
}

/** What stands below the text of an answer. `text` is what the claims count in. */
export function SourcesOfAnswer({ sources, text }: { sources: AnswerSources | null; text: string }) {
  const t = useTranslation();
  if (!sources) return null;
  const { citations } = sources;
  const missing = missingWords(sources);
  const unsupported = citations.length || sources.found ? unsupportedSentences(text, sources) : [];
  const isAlone = sources.found === false && !citations.length;
  if (!isAlone && !citations.length && !missing.length && !unsupported.length && !sources.web_query && !sources.pages.length) return null;
  return (
    <section className="sources" aria-label={t('sources.label')}>
      {citations.length > 0 && (
        <ol className="source-cards">
          {citations.map((one) => (
            <Card key={one.number} source={one} />
          ))}
        </ol>
      )}
      {missing.length > 0 && <p className="small warn-text">{t('sources.missing', { words: missing.join(t('sources.comma')) })}</p>}
      {unsupported.length > 0 && (
        <details className="small">
          <summary>{t('sources.unsupported')}</summary>
          <ul className="unsupported">
            {unsupported.map((sentence, index) => (
              <li key={index}>{sentence}</li>
            ))}
          </ul>
        </details>
      )}
      {isAlone && <NotFound sources={sources} />}
      {(sources.web_query || sources.pages.length > 0) && (
        <details className="small">
          <summary>{t('sources.searched', { n: sources.pages.length })}</summary>
          <FetchedPages sources={sources} />
        </details>
      )}
    </section>
  );
}

function NotFound({ sources: { score, threshold, web_query } }: { sources: AnswerSources }) {
  const t = useTranslation();
  const measured =
    threshold === null ? '' : t('sources.measured', { score: formatNumber(score), threshold: formatNumber(threshold) });
  return <p className="small muted">{t(web_query ? 'sources.notFoundAnywhere' : 'sources.notFound', { measured })}</p>;
}

const ICONS = { document: BookText, web: Globe, post: MessageCircle } as const;

function Card({ source }: { source: CitedSource }) {
  const t = useTranslation();
  const Icon = source.removed ? FileX : ICONS[source.kind];
  const page = source.kind === 'document' ? pageOf(source) : null;
  const facts = [
    page === null ? '' : t('sources.page', { n: page }),
    source.kind === 'web' && source.url ? shortAddress(source.url) : '',
    source.kind === 'web' ? source.author : '',
    source.published_utc ? formatDate(source.published_utc, 'date') : '',
  ].filter(Boolean);
  return (
    <li>
      <Opens source={source} className={source.removed ? 'source-card gone' : 'source-card'}>
        <span className="source-title">
          <span className="source-number">{source.number}</span>
          <Icon size={15} aria-hidden="true" />
          <span className="clip">{source.title}</span>
        </span>
        {facts.length > 0 && <span className="tiny muted block clip">{facts.join(' · ')}</span>}
        {source.quote && <span className="source-quote">{source.quote}</span>}
        {source.removed && <span className="block small">{t('sources.removed')}</span>}
      </Opens>
    </li>
  );
}

/** The page on which the words stand, if the document was opened there already. */
function pageOf({ document, text_sha256, start }: CitedSource): number | null {
  const parts = queryClient.getQueryData(textQuery(document, text_sha256, start).queryKey)?.pages ?? [];
  const blocks = parts.flatMap((part) => cutIntoBlocks(part, null));
  return blocks.findLast((block) => block.start <= start)?.page ?? null;
}

/** What the search engine was asked, and every page that was fetched. */
export function FetchedPages({ sources }: { sources: AnswerSources }) {
  const t = useTranslation();
  return (
    <div className="stack tight">
      {sources.web_query && <p>{t('sources.query', { query: sources.web_query })}</p>}
      <ul className="fetched">
        {sources.pages.map((page, index) => {
          const address = safeAddress(page.url);
          return (
            <li key={index}>
              {address ? (
                <a href={address} target="_blank" rel="noopener noreferrer nofollow ugc">
                  {page.title || shortAddress(address)}
                </a>
              ) : (
                <span>{page.title || page.url}</span>
              )}
              <span className="block tiny muted mono">{page.url}</span>
              {page.problem && (
                <span className="block tiny warn-text">
                  {t('sources.problem')} <span lang="en">{page.problem}</span>
                </span>
              )}
            </li>
          );
        })}
      </ul>
    </div>
  );
}
