/** The text of a document, in parts, with the pages and headings beside it. A passage is marked and scrolled into view. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { ArrowLeft, Download } from 'lucide-react';
import { memo, useEffect, useMemo, useRef } from 'react';
import { Link, useSearch } from 'wouter';
import { isNotFound } from '../../api/client';
import type { DocumentView } from '../../api/types';
import { formatDate, formatDuration, useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { Button } from '../../ui/button';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { cutIntoBlocks, documentQuery, listAddress, readAsked, readPassage, textAddress, type TextBlock, type TextPart, textQuery } from './documents';
import { usePlaceName } from './use-places';

export function DocumentText({ id }: { id: string }) {
  const t = useTranslation();
  const asked = readAsked(useSearch());
  const query = useQuery(documentQuery(id));
  const isGone = isNotFound(query.error);
  const name = query.data?.name ?? t(isGone ? 'documents.removed' : 'loading');
  return (
    <Page
      title={name}
      lead={query.data && <Facts document={query.data} />}
      actions={
        <>
          <Link href={asked.chat ? `/c/${asked.chat}` : listAddress(asked)} className="button">
            <ArrowLeft size={17} aria-hidden="true" />{' '}
            {t(asked.chat ? 'documents.backToChat' : asked.question ? 'documents.backToPassages' : 'documents.back')}
          </Link>
          {query.data && (
            <a className="button" href={`/v1/documents/${id}/content`} download={query.data.name}>
              <Download size={17} aria-hidden="true" /> {t('documents.download')}
            </a>
          )}
        </>
      }
    >
      {isGone ? (
        <p className="notice">{t('documents.gone')}</p>
      ) : (
        <QueryResult query={query}>{(document) => <Text document={document} />}</QueryResult>
      )}
    </Page>
  );
}

function Facts({ document }: { document: DocumentView }) {
  const t = useTranslation();
  const place = usePlaceName(document);
  const pages = document.version.pages > 0 ? ` · ${t('documents.pages', { n: document.version.pages })}` : '';
  return `${place}${pages} · ${formatDate(document.updated, 'date')}`;
}

function Text({ document }: { document: DocumentView }) {
  const t = useTranslation();
  const search = useSearch();
  const { version, start, end } = readPassage(search);
  const query = useInfiniteQuery(textQuery(document.id, version, start));
  const box = useRef<HTMLDivElement>(null);
  const isLoaded = query.data !== undefined;
  useEffect(() => {
    if (isLoaded) box.current?.querySelector('mark')?.scrollIntoView({ block: 'start' });
  }, [isLoaded, start, end]);
  const isEarlier = version !== undefined && document.version.text !== null && document.version.text !== version;
  return (
    <div className="stack">
      {isEarlier && (
        <p className="notice">
          <span className="grow">{t('documents.earlierVersion')}</span>
          <Link href={textAddress(document.id, readAsked(search))}>{t('documents.newest')}</Link>
        </p>
      )}
      <QueryResult query={query}>
        {({ pages }) => (
          <>
            {query.hasPreviousPage && (
              <div>
                <Button busy={query.isFetchingPreviousPage} onClick={() => void query.fetchPreviousPage()}>
                  {t('documents.before')}
                </Button>
              </div>
            )}
            <div ref={box} className="document-text">
              {pages.map((part) => (
                <Part key={part.start} part={part} start={start} end={end} />
              ))}
              {pages[0]?.characters === 0 && <p className="muted">{t('documents.noText')}</p>}
            </div>
            {query.hasNextPage && (
              <div>
                <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
                  {t('documents.after')}
                </Button>
              </div>
            )}
          </>
        )}
      </QueryResult>
    </div>
  );
}

const Part = memo(function Part({ part, start, end }: { part: TextPart; start: number; end: number }) {
  const blocks = useMemo(() => cutIntoBlocks(part, { start, end }), [part, start, end]);
  return blocks.map((block) => <Block key={block.start} block={block} />);
});

function Block({ block }: { block: TextBlock }) {
  const t = useTranslation();
  const where = [
    block.page === null ? '' : t('documents.page', { n: block.page }),
    block.time === null ? '' : formatDuration(block.time),
    block.label,
  ].filter(Boolean);
  return (
    <div className="document-block">
      <p className="document-place small muted">{where.join(' · ')}</p>
      <p className="document-words">{block.pieces.map(({ text, marked }, index) => (marked ? <mark key={index}>{text}</mark> : text))}</p>
    </div>
  );
}
