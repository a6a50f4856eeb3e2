/** The corrections page: give a correction, find and change one's own, import a file, and judge what is proposed to the team. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { Download, FileUp, Plus, SearchX, SpellCheck } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api, ApiError, apiFetch } from '../../api/client';
import { correctionQuery, correctionsQuery, queryClient, settingsQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/corrections';
import { Button } from '../../ui/button';
import { downloadFile } from '../../ui/clipboard';
import { SegmentedControl, Switch } from '../../ui/fields';
import { EmptyState, Page } from '../../ui/page';
import { PagedList } from '../../ui/paged-list';
import { QueryResult } from '../../ui/query-result';
import { SearchField } from '../../ui/search-field';
import { toastError } from '../../ui/toast';
import { giveCorrection } from './corrections';
import { type CorrectionDraft, CorrectionFields, isComplete } from './correction-fields';
import { ImportDialog } from './import-dialog';
import { MatchingNotice } from './matching-notice';
import { OwnCorrection } from './own-correction';
import { TeamCorrection, TeamCorrections } from './team-corrections';

type Tab = 'own' | 'team';

export default function CorrectionsPage({ id }: { id?: string }) {
  const t = useTranslation();
  const [tab, setTab] = useState<Tab>('own');
  const [search, setSearch] = useState('');
  const [importing, setImporting] = useState(false);
  const first = useInfiniteQuery(correctionsQuery('own', '')).data?.pages[0];
  const toJudge = first?.to_judge ?? 0;
  const exportAll = () =>
    apiFetch('/v1/corrections/export')
      .then(async (response) => downloadFile('corrections.csv', await response.blob()))
      .catch(toastError);
  return (
    <Page
      title={t('corrections.title')}
      lead={t('corrections.lead')}
      actions={
        <>
          <Button icon={FileUp} onClick={() => setImporting(true)}>
            {t('corrections.import')}
          </Button>
          {first && first.data.length > 0 && (
            <Button icon={Download} onClick={() => void exportAll()}>
              {t('corrections.export')}
            </Button>
          )}
        </>
      }
    >
      <div className="stack">
        {id && <OpenedCorrection id={id} />}
        <UseCorrections />
        <MatchingNotice />
        <div className="row corrections-bar">
          <div className="grow">
            <SegmentedControl
              legend={t('corrections.which')}
              hideLegend
              value={tab}
              onChange={setTab}
              options={[
                ['own', t('corrections.mine')],
                ['team', toJudge ? t('corrections.teamN', { n: toJudge }) : t('corrections.team')],
              ]}
            />
          </div>
          <SearchField label={t('corrections.search')} value={search} onChange={setSearch} />
        </div>
        {tab === 'own' ? (
          <>
            {!search.trim() && <AddCorrection />}
            <OwnCorrections search={search.trim()} />
          </>
        ) : (
          <TeamCorrections search={search.trim()} />
        )}
      </div>
      {importing && <ImportDialog onClose={() => setImporting(false)} />}
    </Page>
  );
}

/** The correction that a link leads to. */
function OpenedCorrection({ id }: { id: string }) {
  const t = useTranslation();
  const query = useQuery(correctionQuery(id));
  if (query.error instanceof ApiError && query.error.status === 404) return <p className="notice">{t('corrections.gone')}</p>;
  return (
    <section className="card stack" aria-label={t('corrections.one')}>
      <div className="row">
        <h2 className="grow">{t('corrections.one')}</h2>
        <Link href="/corrections" className="button small plain">
          {t('close')}
        </Link>
      </div>
      <QueryResult query={query}>
        {(correction) => (
          <ul className="list">
            {correction.own ? <OwnCorrection correction={correction} /> : <TeamCorrection correction={correction} />}
          </ul>
        )}
      </QueryResult>
    </section>
  );
}

function UseCorrections() {
  const t = useTranslation();
  const settings = useQuery(settingsQuery).data;
  if (!settings) return null;
  const change = async (corrections: boolean) => {
    try {
      await api.patch('/v1/settings', { body: { corrections } });
      await queryClient.invalidateQueries({ queryKey: ['settings'] });
    } catch (error) {
      toastError(error);
      throw error;
    }
  };
  return <Switch label={t('corrections.on')} hint={t('corrections.onHint')} checked={settings.corrections} onChange={change} />;
}

const EMPTY: CorrectionDraft = { question: '', answer: '', scope: 'me' };

function AddCorrection() {
  const t = useTranslation();
  const [draft, setDraft] = useState(EMPTY);
  const [busy, setBusy] = useState(false);
  const add = async () => {
    if (!isComplete(draft)) return;
    setBusy(true);
    try {
      await giveCorrection({
        ...draft,
        question: draft.question.trim(),
        answer: draft.answer.trim(),
        kind: 'correction',
        origin: 'page',
        record_edit: null,
        suggested: false,
      });
      setDraft({ ...EMPTY, scope: draft.scope });
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="card stack"
      aria-label={t('corrections.add')}
      onSubmit={(event) => {
        event.preventDefault();
        void add();
      }}
    >
      <h2>{t('corrections.add')}</h2>
      <CorrectionFields draft={draft} examples onChange={setDraft} />
      <div>
        <Button type="submit" kind="primary" icon={Plus} busy={busy} disabled={!isComplete(draft)}>
          {t('corrections.save')}
        </Button>
      </div>
    </form>
  );
}

function OwnCorrections({ search }: { search: string }) {
  const t = useTranslation();
  const query = useInfiniteQuery(correctionsQuery('own', search));
  const empty = search ? (
    <EmptyState icon={SearchX} title={t('corrections.noneFound')} />
  ) : (
    <EmptyState icon={SpellCheck} title={t('corrections.none')} text={t('corrections.noneText')} />
  );
  return (
    <PagedList query={query} empty={empty}>
      {(found) => (
        <ul className="list cards">
          {found.map((one) => (
            <OwnCorrection key={one.id} correction={one} />
          ))}
        </ul>
      )}
    </PagedList>
  );
}
