/** Answers that must not happen again: what was reported, what a review made of it, and whether it ever came back. */
import { useQuery } from '@tanstack/react-query';
import { ArrowLeft, ShieldAlert } from 'lucide-react';
import { useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import { incidentsQuery } from '../../api/release-queries';
import type { Incident } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { modelName } from '../../i18n/model-names';
import { Button } from '../../ui/button';
import { Command } from '../../ui/command';
import { FormDialog } from '../../ui/dialog';
import { Field, SegmentedControl } from '../../ui/fields';
import { EmptyState, Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { toast } from '../../ui/toast';
import { incidentOutcome, lines } from './release-words';

const TONES = { open: 'warn', accepted: 'good', dismissed: '' } as const;
const CHECK = ['yearling incident check'];

export function IncidentsPage() {
  const t = useTranslation();
  const query = useQuery(incidentsQuery);
  return (
    <Page title={t('incidents.title')} lead={t('incidents.lead')}>
      <Link href="/runs" className="row back">
        <ArrowLeft size={16} aria-hidden="true" /> {t('nav.runs')}
      </Link>
      <QueryResult query={query}>
        {(page) =>
          page.data.length ? (
            <>
              <ul className="stack">
                {page.data.map((one) => (
                  <IncidentCard key={one.id} incident={one} canReview={page.can_review} />
                ))}
              </ul>
              {page.can_review && page.data.some((one) => one.state === 'accepted') && (
                <div className="stack tight">
                  <p className="small muted">{t('incidents.command')}</p>
                  <Command lines={CHECK} />
                </div>
              )}
            </>
          ) : (
            <EmptyState icon={ShieldAlert} title={t('incidents.none')} text={t('incidents.noneText')} />
          )
        }
      </QueryResult>
    </Page>
  );
}

function IncidentCard({ incident, canReview }: { incident: Incident; canReview: boolean }) {
  const t = useTranslation();
  const [dialog, setDialog] = useState<'accept' | 'dismiss' | null>(null);
  const outcome = incidentOutcome(incident);
  return (
    <li className="card stack tight incident">
      <div className="row">
        <span className="small muted grow wide-grow" title={incident.model}>
          {t('incidents.by', {
            name: incident.reported_by || '–',
            time: formatRelativeTime(incident.created_utc),
            model: modelName(incident.model),
          })}
        </span>
        <span className={`badge ${TONES[incident.state]}`}>{t(`incidents.state.${incident.state}`)}</span>
      </div>
      {incident.reason && <p>“{incident.reason}”</p>}
      {incident.answer === null ? (
        <p className="small muted">{t('incidents.gone')}</p>
      ) : (
        <details open={incident.state === 'open'}>
          <summary>
            {t('incidents.question')}: {incident.question?.slice(0, 160)}
          </summary>
          <p className="small muted">{t('incidents.answer')}</p>
          <p className="verbatim">{incident.answer}</p>
        </details>
      )}
      {incident.review && <p className="small">{`${incident.reviewed_by}: “${incident.review}”`}</p>}
      {incident.state === 'accepted' && <p className="small">{t(outcome.key, outcome.values)}</p>}
      {canReview && incident.state === 'open' && (
        <div className="row">
          <Button kind="primary" onClick={() => setDialog('accept')}>
            {t('incidents.accept')}
          </Button>
          <Button onClick={() => setDialog('dismiss')}>{t('incidents.dismiss')}</Button>
        </div>
      )}
      {dialog === 'accept' && <AcceptDialog incident={incident} onClose={() => setDialog(null)} />}
      {dialog === 'dismiss' && <DismissDialog incident={incident} onClose={() => setDialog(null)} />}
    </li>
  );
}

function AcceptDialog({ incident, onClose }: { incident: Incident; onClose: () => void }) {
  const t = useTranslation();
  const [question, setQuestion] = useState(incident.question ?? '');
  const [must, setMust] = useState('');
  const [mustNot, setMustNot] = useState('');
  const [refusal, setRefusal] = useState<'any' | 'yes' | 'no'>('any');
  const [review, setReview] = useState('');
  const hasCheck = lines(must).length > 0 || lines(mustNot).length > 0 || refusal !== 'any';
  const accept = async () => {
    await api.post('/v1/incidents/{incident_id}/accept', {
      params: { path: { incident_id: incident.id } },
      body: {
        question,
        must_contain: lines(must),
        must_not_contain: lines(mustNot),
        must_refuse: refusal === 'any' ? null : refusal === 'yes',
        review,
      },
    });
    toast(t('incidents.accepted'));
    onClose();
    await queryClient.invalidateQueries({ queryKey: ['incidents'] });
  };
  return (
    <FormDialog
      title={t('incidents.review')}
      action={t('incidents.accept')}
      disabled={!question.trim() || !hasCheck}
      onSubmit={accept}
      onClose={onClose}
      wide
    >
      <Field label={t('incidents.ask')} hint={t('incidents.askHint')}>
        {(field) => (
          <textarea {...field} className="input" maxLength={8000} value={question} onChange={(event) => setQuestion(event.target.value)} />
        )}
      </Field>
      <Field label={t('incidents.mustNotContain')} hint={t('incidents.onePerLine')}>
        {(field) => <textarea {...field} className="input" value={mustNot} onChange={(event) => setMustNot(event.target.value)} />}
      </Field>
      <Field label={t('incidents.mustContain')} hint={t('incidents.onePerLine')}>
        {(field) => <textarea {...field} className="input" value={must} onChange={(event) => setMust(event.target.value)} />}
      </Field>
      <SegmentedControl
        legend={t('incidents.refusal')}
        value={refusal}
        onChange={setRefusal}
        options={(['any', 'yes', 'no'] as const).map((one) => [one, t(`incidents.refusal.${one}`)] as const)}
      />
      <ReviewField value={review} onChange={setReview} />
      {!hasCheck && <p className="small muted">{t('incidents.needCheck')}</p>}
    </FormDialog>
  );
}

function DismissDialog({ incident, onClose }: { incident: Incident; onClose: () => void }) {
  const t = useTranslation();
  const [review, setReview] = useState('');
  const dismiss = async () => {
    await api.post('/v1/incidents/{incident_id}/dismiss', {
      params: { path: { incident_id: incident.id } },
      body: { review },
    });
    toast(t('incidents.dismissed'));
    onClose();
    await queryClient.invalidateQueries({ queryKey: ['incidents'] });
  };
  return (
    <FormDialog title={t('incidents.dismiss')} action={t('incidents.dismiss')} onSubmit={dismiss} onClose={onClose}>
      <p className="small muted">{t('incidents.dismissText')}</p>
      <ReviewField value={review} onChange={setReview} />
    </FormDialog>
  );
}

function ReviewField({ value, onChange }: { value: string; onChange: (text: string) => void }) {
  const t = useTranslation();
  return (
    <Field label={t('incidents.reviewText')}>
      {(field) => (
        <textarea {...field} className="input" maxLength={4000} value={value} onChange={(event) => onChange(event.target.value)} />
      )}
    </Field>
  );
}
