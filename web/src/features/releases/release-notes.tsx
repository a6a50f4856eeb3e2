/** The notes of a release in plain words, written from its records: what it learnt, and which answers changed. */
import type { BehaviourChange, ReleaseDetails } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { ruleName } from './release-words';

export function ReleaseNotes({ release, flips = false }: { release: ReleaseDetails; flips?: boolean }) {
  const t = useTranslation();
  const { learnt } = release;
  const before = t('incidents.inRelease', { n: release.compared_with ?? 0 });
  const unmeasured = (release.proof?.findings ?? []).filter((one) => one.decision === 'INCONCLUSIVE');
  return (
    <div className="stack tight">
      <p>
        {learnt
          ? t('releases.learnt', {
              n: Object.values(learnt.lessons_by_kind).reduce((sum, one) => sum + one, 0),
              judgements: learnt.num_judgements,
              people: learnt.num_people,
            })
          : t(release.kind === 'adapter' ? 'releases.learntUnknown' : 'releases.learntNothing')}
      </p>
      {release.behaviour.map((change) => (
        <Behaviour key={change.exam} change={change} before={before} flips={flips} />
      ))}
      {!release.behaviour.length && release.compared_with !== null && <p className="muted">{t('releases.noBehaviour')}</p>}
      {flips && release.parent !== null && unmeasured.length > 0 && (
        <p className="small muted">{t('releases.notSeen', { what: unmeasured.map((one) => ruleName(one.rule)).join(', ') })}</p>
      )}
    </div>
  );
}

function Behaviour({ change, before, flips }: { change: BehaviourChange; before: string; flips: boolean }) {
  const t = useTranslation();
  return (
    <>
      <p>
        {t('releases.behaviour', {
          exam: change.title,
          n: change.num_questions,
          better: change.num_better,
          worse: change.num_worse,
          before,
        })}
      </p>
      {flips &&
        change.flipped.map((one) => (
          <details key={one.kind} className="card flip" open={one.kind === 'worst'}>
            <summary>
              <strong>{t(`releases.flip.${one.kind}`)}</strong>: {one.question.slice(0, 160)}
            </summary>
            <div className="round-answers">
              <div>
                <h4 className="small muted">{t('releases.flip.before')}</h4>
                <p className="verbatim">{one.before || '–'}</p>
              </div>
              <div>
                <h4 className="small muted">{t('releases.flip.after')}</h4>
                <p className="verbatim">{one.after || '–'}</p>
              </div>
            </div>
          </details>
        ))}
    </>
  );
}
