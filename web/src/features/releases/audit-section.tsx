/** How to verify what the page says: a check of the audit log, and the export with the one command for a referee. */
import { useQuery } from '@tanstack/react-query';
import { Download, ShieldCheck } from 'lucide-react';
import { auditQuery } from '../../api/release-queries';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { Button } from '../../ui/button';
import { Command } from '../../ui/command';
import { ErrorMessage } from '../../ui/error-message';
import { TextWithTerms } from '../../ui/term';

const REFEREE = ['yearling audit check yearling-audit-*.zip'];

export function AuditSection() {
  const t = useTranslation();
  const audit = useQuery({ ...auditQuery, enabled: false });
  return (
    <details className="card small audit">
      <summary>{t('audit.title')}</summary>
      <div className="stack">
        <p>
          <TextWithTerms text={t('audit.lead')} />
        </p>
        <div className="row">
          <Button icon={ShieldCheck} busy={audit.isFetching} onClick={() => void audit.refetch()}>
            {t('audit.check')}
          </Button>
          <a className="button" href="/v1/audit/export" download>
            <Download size={17} aria-hidden="true" /> {t('audit.export')}
          </a>
        </div>
        <div role="status">
          {audit.error && (
            <p className="bad-text">
              <ErrorMessage error={audit.error} />
            </p>
          )}
          {audit.data &&
            (audit.data.ok ? (
              <p className="notice good">{t('audit.ok', { n: audit.data.entries })}</p>
            ) : (
              <div className="notice bad">
                <div>
                  <strong>{t('audit.bad')}</strong>
                  <ul lang="en">
                    {audit.data.checks.flatMap((check) => check.faults.map((fault) => <li key={fault}>{fault}</li>))}
                  </ul>
                </div>
              </div>
            ))}
        </div>
        {audit.data && (
          <p className="tiny muted">
            {t('audit.head')}: <span className="mono anywhere">{audit.data.head}</span>
          </p>
        )}
        <p>{t('audit.exportText')}</p>
        <Command lines={REFEREE} />
      </div>
    </details>
  );
}
