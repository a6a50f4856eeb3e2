/** What the pages say about releases and changes: pure functions from records to words. */
import type { Incident, ModelLineage, Release, ReleaseCandidate, ReleaseChange, ReleaseProof, ReleaseStatus } from '../../api/types';
import { formatDate, t, type TranslationKey, type TranslationValues } from '../../i18n';
import '../../i18n/pages/releases';
import { modelName, modelTitle } from '../../i18n/model-names';
import { localReleaseName } from './release-name';

export interface Phrase {
  key: TranslationKey;
  values?: TranslationValues;
}

export type Tone = 'good' | 'warn' | 'bad' | '';

const STAGE_TONES: Readonly<Record<Release['stage'], Tone>> = {
  champion: 'good',
  canary: 'warn',
  proposed: 'warn',
  draft: '',
  signed: '',
  retired: '',
  withdrawn: 'bad',
};

export const stageTone = (stage: Release['stage']): Tone => STAGE_TONES[stage];

export const PROOF_TONES: Readonly<Record<ReleaseProof['status'], Tone>> = { proven: 'good', unproven: 'warn', refused: 'bad' };

/** The model of a release; for a trained one the model below it. */
export function releaseModel(release: Pick<Release, 'kind' | 'model' | 'model_title'>): string {
  if (release.kind === 'adapter') return t('releases.adapterOn', { model: release.model_title });
  return modelTitle(release.model, release.model_title);
}

/** A trained model is named by its base and its time: the digits of its name tell nobody anything. */
export function candidateTitle(candidate: Pick<ReleaseCandidate, 'model' | 'title' | 'base_model' | 'trained_utc' | 'num_lessons'>): string {
  if (!candidate.trained_utc) return modelTitle(candidate.model, candidate.title);
  const named = t('releases.trainedModel', { model: modelName(candidate.base_model), time: formatDate(candidate.trained_utc) });
  return candidate.num_lessons ? `${named}: ${t('releases.learntTitle', { n: candidate.num_lessons })}` : named;
}

/** The button that puts a model in use: none if a limit is broken; it says so if nothing proves the model. */
export function labelOfUse(proof: ReleaseProof, signsAlone: boolean): TranslationKey | null {
  if (proof.status === 'refused') return null;
  if (proof.status === 'proven') return signsAlone ? 'releases.use' : 'releases.propose';
  return signsAlone ? 'releases.useUnproven' : 'releases.proposeUnproven';
}

const HEAD_CHARS = 12;

/** The installations behind a merged model: each with what came from it, and with its public log as it was then. */
export function mergedSources(sources: ModelLineage['merged_from']): string {
  return sources
    .map(({ name, num_judgements: judgements, runs, log_entries: entries, log_head: head }) =>
      t(head ? 'releases.mergedSource' : 'releases.mergedNoLog', {
        name: name.replaceAll(/[[\]|]/g, ' '), // no terms but ours
        judgements,
        runs: runs.length,
        entries,
        head: head.slice(0, HEAD_CHARS),
      }),
    )
    .join(t('releases.mergedJoin'));
}

/** What a change does, in one line. */
export function changeTitle(change: Pick<ReleaseChange, 'kind' | 'release_name'>): Phrase {
  return { key: `changes.${change.kind}`, values: { name: localReleaseName(change.release_name) } };
}

/** Why a release is used without proof. Reasons that a button gave say nothing more. */
export function overridePhrase(reason: string): Phrase {
  const isDefault = reason === 'used without proof' || reason === 'chosen by its owner without proof';
  return isDefault ? { key: 'releases.overrideDefault' } : { key: 'releases.override', values: { reason } };
}

/** A line of a change of keys: `+ Ann`, `- Ann` or `= 2`. */
export function keyDetail(detail: string): Phrase {
  const [sign, rest] = [detail[0], detail.slice(2)];
  if (sign === '=') return { key: 'changes.threshold', values: { n: Number(rest) } };
  return { key: sign === '+' ? 'changes.add' : 'changes.remove', values: { name: rest } };
}

/** Whether an incident ever came back, in one sentence. */
export function incidentOutcome(incident: Pick<Incident, 'checks' | 'repaired_utc' | 'recurrences'>): Phrase {
  const n = incident.checks.length;
  if (!n) return { key: 'incidents.unchecked' };
  if (incident.repaired_utc === null) return { key: 'incidents.failing', values: { n } };
  const last = incident.recurrences.at(-1);
  if (!last) return { key: 'incidents.never', values: { date: formatDate(incident.repaired_utc, 'date'), n } };
  return {
    key: 'incidents.cameBack',
    values: { date: formatDate(last.created_utc, 'date'), where: last.releases.map((n) => t('incidents.inRelease', { n })).join(', ') || last.model },
  };
}

/** Whether something is stopped, so that every page says so. */
export const isStopped = (status: ReleaseStatus): boolean => status.stops.length > 0 || status.stop_problem !== '';

/** One word or phrase a line, without empty lines. */
export const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

const RULES = ['preference', 'instructions', 'forgetting', 'bounds', 'worst-case', 'answers', 'incidents', 'kl', 'parity', 'ifeval', 'spec-score'];

/** The name of a gate rule for people. Rules that the key-holders wrote themselves keep the name that they gave. */
export const ruleName = (rule: string): string => (RULES.includes(rule) ? t(`rule.${rule}` as TranslationKey) : rule);

const CLAUSES: readonly (readonly [RegExp, TranslationKey])[] = [
  [/^nothing that could show a gain was measured$/, 'sentence.noGain'],
  [/^(\d+) (?:pair|judgement)s? can show only a gain of ([\d.e+]+) points$/, 'sentence.canShow'],
  [/^(\d+) (?:pair|judgement)s? (?:is|are) too few to show any gain$/, 'sentence.tooFew'],
  [/^(\d+) of the (\d+) checks? that it got no worse (?:was|were) not made$/, 'sentence.notMade'],
  [/^no loss is shown, but (\d+) of the (\d+) checks? cannot rule one out$/, 'sentence.possible'],
  [/^nothing that we check got worse$/, 'sentence.noWorse'],
  [/^nothing else was checked$/, 'sentence.nothingElse'],
];

/** The gate's reason in the person's language, without its verdict; null if a part of it is not known here. */
export function proofSentence(sentence: string): string | null {
  const clauses = sentence.replace(/^Not proven: /, '').replace(/\.$/, '').split('; ');
  const words = clauses.map((clause) => {
    for (const [pattern, key] of CLAUSES) {
      const found = pattern.exec(clause);
      if (found) return t(key, { n: found[1] ?? '', of: found[2] ?? '' });
    }
    return null;
  });
  return words.includes(null) ? null : `${words.join(t('sentence.join'))}${t('sentence.end')}`;
}
