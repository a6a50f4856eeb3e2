/** The documents page: add files, search in them, and see, rename and remove what there is. A document opens as a page of its own. */
import { useInfiniteQuery } from '@tanstack/react-query';
import { FileText, SearchX } from 'lucide-react';
import { useState } from 'react';
import { useSearch } from 'wouter';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { EmptyState, Page } from '../../ui/page';
import { PagedList } from '../../ui/paged-list';
import { SearchField } from '../../ui/search-field';
import { AddDocuments } from './add-documents';
import { DocumentEntry } from './document-entry';
import { DocumentText } from './document-text';
import { documentsQuery, readAsked } from './documents';
import { Passages, QuestionForm } from './passages';

export default function DocumentsPage({ id }: { id?: string }) {
  return id ? <DocumentText id={id} /> : <DocumentList />;
}

function DocumentList() {
  const t = useTranslation();
  const asked = readAsked(useSearch());
  const [search, setSearch] = useState('');
  const query = useInfiniteQuery(documentsQuery(search.trim()));
  const waiting = query.data?.pages[0]?.waiting_for_meaning ?? 0;
  const empty = search.trim() ? (
    <EmptyState icon={SearchX} title={t('documents.noneFound')} />
  ) : (
    <EmptyState icon={FileText} title={t('documents.none')} text={t('documents.noneText')} />
  );
  return (
    <Page title={t('nav.documents')} lead={t('documents.lead')}>
      <AddDocuments>
        <div className="stack">
          <QuestionForm key={`${asked.question} ${asked.folder}`} asked={asked} />
          {asked.question && <Passages asked={asked} />}
          {waiting > 0 && (
            <p className="notice" role="status">
              <span>
                <strong>{t('documents.byWordsOnly', { n: waiting })}</strong> {t('documents.byWordsOnlyText')}
              </span>
            </p>
          )}
          <section className="stack" aria-label={t('documents.all')}>
            <div className="row documents-bar">
              <h2 className="grow">{t('documents.all')}</h2>
              <SearchField label={t('documents.searchNames')} value={search} onChange={setSearch} />
            </div>
            <PagedList query={query} empty={empty}>
              {(documents) => (
                <ul className="list cards">
                  {documents.map((one) => (
                    <DocumentEntry key={one.id} document={one} asked={asked} />
                  ))}
                </ul>
              )}
            </PagedList>
          </section>
        </div>
      </AddDocuments>
    </Page>
  );
}
