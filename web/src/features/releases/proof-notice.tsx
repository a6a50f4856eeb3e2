/** What proves that a model is better than the one in use, in plain words, with every finding of the gate behind it. */
import { CircleAlert, CircleCheck, TriangleAlert } from 'lucide-react';
import type { ReleaseFinding, ReleaseProof } from '../../api/types';
import { language, type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/releases';
import { useStore } from '../../store';
import { TextWithTerms } from '../../ui/term';
import { PROOF_TONES, proofSentence, ruleName } from './release-words';

const ICONS = { proven: CircleCheck, unproven: TriangleAlert, refused: CircleAlert };
const FINDING_TONES: Readonly<Record<string, string>> = { ALLOW: 'good', REJECT: 'bad', INCONCLUSIVE: 'warn' };

export function ProofNotice({ proof }: { proof: ReleaseProof }) {
  const t = useTranslation();
  const Icon = ICONS[proof.status];
  const isEnglish = useStore(language) === 'en';
  // The gate's sentence begins with the verdict. Where it has no translation, it stands as it is, behind the translated verdict.
  const translated = isEnglish ? null : proofSentence(proof.sentence);
  const saysItself = isEnglish && /^(not )?proven/i.test(proof.sentence);
  return (
    <div className={`notice ${PROOF_TONES[proof.status]}`}>
      <Icon size={18} aria-hidden="true" />
      <div className="stack tight grow">
        {proof.sentence ? (
          <p>
            {!saysItself && (
              <strong>
                <TextWithTerms text={t(`releases.${proof.status}`)} />.{' '}
              </strong>
            )}
            {translated ?? <span lang="en">{proof.sentence}</span>}
          </p>
        ) : (
          proof.status !== 'refused' && (
            <p>
              <TextWithTerms text={t('releases.notCompared')} />
            </p>
          )
        )}
        {proof.status === 'refused' && <p>{t('releases.refusedText')}</p>}
        {proof.findings.length > 0 && (
          <details className="small">
            <summary>{t('releases.findings')}</summary>
            <FindingList findings={proof.findings} />
          </details>
        )}
      </div>
    </div>
  );
}

export function FindingList({ findings }: { findings: readonly ReleaseFinding[] }) {
  const t = useTranslation();
  return (
    <ul className="stack tight findings">
      {findings.map((one) => (
        <li key={one.rule}>
          <span className={`badge ${FINDING_TONES[one.decision] ?? ''}`}>
            {t(`releases.finding.${one.decision}` as TranslationKey)}
          </span>{' '}
          <strong title={one.rule}>{ruleName(one.rule)}</strong> <span className="muted">({t(`releases.role.${one.role}` as TranslationKey)})</span>{' '}
          <span lang="en">{one.why}</span>
        </li>
      ))}
    </ul>
  );
}
