/** Whose feedback this is: who judges, how evenly, how often people agree, and whether they stand for everybody. Names nobody. */
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { Link } from 'wouter';
import { meQuery, raterReportQuery } from '../../api/queries';
import type { RaterReport } from '../../api/types';
import { formatNumber, formatPercent, useTranslation } from '../../i18n';
import '../../i18n/pages/rate';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { Tile } from '../../ui/tile';

export default function RatersPage() {
  const t = useTranslation();
  const query = useQuery(raterReportQuery);
  const mayRate = useQuery(meQuery).data?.person.role !== 'reader';
  return (
    <Page
      title={t('nav.raters')}
      lead={t('raters.lead')}
      actions={
        mayRate && (
          <Link href="/rate" className="button primary">
            {t('raters.rate')}
          </Link>
        )
      }
    >
      <QueryResult query={query}>{(report) => <Report report={report} mayRate={mayRate} />}</QueryResult>
    </Page>
  );
}

function Report({ report, mayRate }: { report: RaterReport; mayRate: boolean }) {
  const t = useTranslation();
  const { members, judged, judgements, spread, agreement, sides, guesses } = report;
  return (
    <>
      <div className="tiles">
        <Tile
          name={t('raters.people')}
          value={judged === null ? t('raters.fewer') : formatNumber(judged)}
          detail={t('raters.peopleOf', { n: members })}
        />
        {judgements !== null && <Tile name={t('raters.judgements')} value={formatNumber(judgements)} />}
      </div>
      {report.outsiders > 0 && <p className="small muted">{t('raters.outsiders', { n: report.outsiders })}</p>}
      {spread ? (
        <Section title={t('raters.spread')}>
          <p>
            {t(spread.busiest_people === 1 ? 'raters.busiest' : 'raters.busiestMany', {
              n: spread.busiest_people,
              share: formatPercent(spread.busiest_share),
            })}
          </p>
          <p>{t('raters.effective', { n: formatNumber(spread.effective_people, 1) })}</p>
        </Section>
      ) : (
        <p className="notice">{t('raters.hidden')}</p>
      )}
      {spread && (
        <Section title={t('raters.agreement')}>
          <p>
            {agreement
              ? t('raters.agreementText', { n: agreement.pairs, share: formatPercent(agreement.equal_share) })
              : t('raters.agreementNone')}
          </p>
        </Section>
      )}
      <Section title={t('raters.sides')}>
        {sides ? (
          <>
            <p>{t('raters.sidesText', { a: sides.sizes[0] ?? 0, b: sides.sizes[1] ?? 0 })}</p>
            {sides.without_side > 0 && <p className="small muted">{t('raters.sidesWithout', { n: sides.without_side })}</p>}
          </>
        ) : (
          <p>{t('raters.sidesNone')}</p>
        )}
      </Section>
      {judged !== null && (
        <Section title={t('raters.represent')}>
          <p>{judged < members ? t('raters.never', { n: members - judged, members }) : t('raters.everybody')}</p>
          {report.roles.length + report.ages.length > 0 ? (
            <Groups groups={[...report.roles, ...report.ages]} />
          ) : (
            <p className="small muted">{t('raters.representNone')}</p>
          )}
        </Section>
      )}
      {mayRate && (
        <Section title={t('raters.guesses')}>
          <p>
            {guesses.counted
              ? t('rate.guessScore', { right: guesses.right, counted: guesses.counted })
              : t('raters.guessesNone')}
          </p>
          {guesses.made > guesses.counted && (
            <p className="small muted">{t('raters.guessesWaiting', { n: guesses.made - guesses.counted })}</p>
          )}
          {guesses.counted > 0 && <p className="small muted">{t('raters.guessesOnly')}</p>}
        </Section>
      )}
    </>
  );
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card stack tight">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

function Groups({ groups }: { groups: RaterReport['roles'] }) {
  const t = useTranslation();
  return (
    <table className="table">
      <thead>
        <tr>
          <th scope="col">{t('raters.groupName')}</th>
          <th scope="col" className="number">
            {t('raters.group')}
          </th>
          <th scope="col" className="number">
            {t('raters.groupJudged')}
          </th>
        </tr>
      </thead>
      <tbody>
        {groups.map((one) => (
          <tr key={one.name}>
            <th scope="row">{t(`raters.${one.name}`)}</th>
            <td className="number num">{formatNumber(one.members)}</td>
            <td className="number num">
              {formatNumber(one.judged)} ({formatPercent(one.judged / one.members)})
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
