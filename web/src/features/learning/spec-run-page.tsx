import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { ArrowLeft, Flag } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { queryClient, specQuery, specRunQuery } from '../../api/queries';
import type { SpecOutput } from '../../api/types';
import { formatDate, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { specLabelName } from '../../i18n/spec-labels';
import { Button } from '../../ui/button';
import { FormDialog } from '../../ui/dialog';
import { Field, SegmentedControl } from '../../ui/fields';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { toast } from '../../ui/toast';
import { RunSummary } from './spec-run-summary';
import { Transcript } from './transcript';

type Triage = SpecOutput['triage'];
const TRIAGE = ['passed', 'policy', 'bug', 'gap', 'person'] as const;

export function SpecRun({ id }: { id: string }) {
  const t = useTranslation();
  const run = useQuery(specRunQuery(id));
  const [triage, setTriage] = useState<Triage | 'worst'>('worst');
  const outputs = useInfiniteQuery({
    queryKey: ['spec-outputs', id, triage],
    enabled: triage !== 'worst',
    queryFn: ({ pageParam }) =>
      api.get('/v1/spec/runs/{run_id}/outputs', {
        params: {
          path: { run_id: id },
          query: { triage: triage === 'worst' ? undefined : triage, after: pageParam || undefined, limit: 30 },
        },
      }),
    initialPageParam: '',
    getNextPageParam: (page) => (page.has_more ? page.data.at(-1)!.id : undefined),
  });
  return (
    <QueryResult query={run}>
      {(found) => {
        const shown = triage === 'worst' ? found.worst : (outputs.data?.pages.flatMap((page) => page.data) ?? []);
        return (
          <Page title={found.model} lead={formatDate(found.created_utc)}>
            <Link href="/spec" className="row back">
              <ArrowLeft size={16} aria-hidden="true" /> {t('nav.spec')}
            </Link>
            <RunSummary summary={found.summary} />
            <SegmentedControl
              legend={t('spec.show')}
              hideLegend
              value={triage}
              onChange={setTriage}
              options={[['worst', t('spec.worst')], ...TRIAGE.map((one) => [one, t(`triage.${one}`)] as const)]}
            />
            <ul className="stack">
              {shown.map((one) => (
                <OutputCard key={one.id} output={one} run={id} />
              ))}
            </ul>
            {triage !== 'worst' && outputs.isSuccess && !shown.length && <p className="muted">{t('spec.noOutputs')}</p>}
            {outputs.hasNextPage && triage !== 'worst' && (
              <Button busy={outputs.isFetchingNextPage} onClick={() => void outputs.fetchNextPage()}>
                {t('loadMore')}
              </Button>
            )}
          </Page>
        );
      }}
    </QueryResult>
  );
}

function OutputCard({ output, run }: { output: SpecOutput; run: string }) {
  const t = useTranslation();
  const [disputing, setDisputing] = useState(false);
  const clause = useQuery(specQuery).data?.clauses.find((one) => one.id === output.clause)?.title ?? output.clause;
  return (
    <li className="card stack tight">
      <div className="row small">
        <Link href={`/spec/${output.clause}`}>{clause}</Link>
        <span className="mono muted">{output.case}</span>
        <span
          className={`badge ${output.triage === 'passed' ? 'good' : output.triage === 'policy' || output.triage === 'bug' ? 'bad' : ''}`}
        >
          {t(`triage.${output.triage}`)}
        </span>
        <span className="muted">{specLabelName(output.label)}</span>
        <span className="grow" />
        <Button size="small" icon={Flag} onClick={() => setDisputing(true)}>
          {t('spec.dispute')}
        </Button>
      </div>
      <Transcript messages={output.messages} />
      <div>
        <span className="tiny muted">{t('chat.answer')}</span>
        <div className="plain verbatim">{output.text || '—'}</div>
      </div>
      {output.evidence && <p className="small muted">{output.evidence}</p>}
      {output.disputes.map((one) => (
        <p key={one.id} className="notice small">
          <span>
            <strong>{t('spec.disputed', { claim: t(`triage.${one.claim}`) })}</strong> {one.reason}
            {one.yours && <span className="badge">{t('notes.yours')}</span>}
          </span>
        </p>
      ))}
      {disputing && <DisputeDialog output={output} run={run} onClose={() => setDisputing(false)} />}
    </li>
  );
}

function DisputeDialog({ output, run, onClose }: { output: SpecOutput; run: string; onClose: () => void }) {
  const t = useTranslation();
  const [claim, setClaim] = useState<Triage>(TRIAGE.find((one) => one !== output.triage)!);
  const [reason, setReason] = useState('');
  const submit = async () => {
    await api.post('/v1/spec/outputs/{output_id}/disputes', {
      params: { path: { output_id: output.id } },
      body: { claim, reason },
    });
    await queryClient.invalidateQueries({ queryKey: ['spec-runs', run] });
    void queryClient.invalidateQueries({ queryKey: ['spec-outputs', run] });
    toast(t('spec.submitted'));
    onClose();
  };
  return (
    <FormDialog
      title={t('spec.dispute')}
      action={t('spec.submit')}
      disabled={!reason.trim()}
      onSubmit={submit}
      onClose={onClose}
    >
      <p className="small muted">{t('spec.disputeText', { triage: t(`triage.${output.triage}`) })}</p>
      <SegmentedControl
        legend={t('spec.claim')}
        value={claim}
        onChange={setClaim}
        options={TRIAGE.filter((one) => one !== output.triage).map((one) => [one, t(`triage.${one}`)] as const)}
      />
      <Field label={t('spec.reason')}>
        {(field) => (
          <textarea
            {...field}
            className="input"
            required
            maxLength={4000}
            value={reason}
            onChange={(event) => setReason(event.target.value)}
          />
        )}
      </Field>
    </FormDialog>
  );
}
