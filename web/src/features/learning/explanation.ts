/** Why an item has its status, in the person's language: the sentences of the API's explanations, from the same figures. */
import type { RatingStanding } from '../../api/types';
import { formatNumber, type Translate, type TranslationKey } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';
import { STRINGS } from '../../i18n/strings';

type Score = NonNullable<RatingStanding['score']>;

const AGREEING_REASONS = ['both_sides', 'team_agrees'];

export function explainStanding(standing: RatingStanding, isNote: boolean, t: Translate): string[] {
  const { score } = standing;
  if (!score) return [standing.explanation.length > 1 ? t('ratingStatus.hidden') : t('statusText.nobody')];
  const status = statusTitle(standing.display_status, t);
  const lines = [t('statusText.reason', { status, reason: reasonSentence(standing, score, t) })];
  if (score.judged && standing.two_sides)
    score.sides.forEach((side, index) => {
      const name = t(index ? 'side.b' : 'side.a');
      const opinion = countOpinion(side.approval, side.ratings, true, t);
      lines.push(side.ratings ? t('opinion.side', { side: name, opinion }) : t('opinion.sideEmpty', { side: name }));
    });
  else if (score.judged && !AGREEING_REASONS.includes(standing.reason))
    lines.push(sentence(t('opinion.sentence', { opinion: countOpinion(score.approval, score.judged, true, t) })));
  if (standing.status === 'needs_more_ratings' && standing.reason === 'no_quorum') lines.push(t('statusText.quorum'));
  if (!isNote) lines.push(lessonSentence(standing, score, t));
  for (const [reason, n] of Object.entries(score.uncounted))
    lines.push(t(reason === 'copy' ? 'statusText.uncountedCopy' : 'statusText.uncountedNew', { n }));
  return lines;
}

export function statusTitle(status: string, t: Translate): string {
  const key = `status.${status}`;
  return key in STRINGS ? t(key as TranslationKey) : status;
}

/** "4 of 5 find it helpful"; a rating of one half counts as half a person. */
export function countOpinion(approval: number, ratings: number, helpful: boolean, t: Translate): string {
  const count = helpful ? approval : ratings - approval;
  if (count === ratings && ratings > 2) return t(helpful ? 'opinion.allHelpful' : 'opinion.allNotHelpful', { n: ratings });
  const opinion = t(helpful ? 'opinion.helpful' : 'opinion.notHelpful', { k: formatHalves(count), n: ratings });
  return Number.isInteger(approval) ? opinion : t('opinion.half', { opinion });
}

/** A number that may end in a half: 4½. */
export function formatHalves(count: number): string {
  const whole = Math.floor(count);
  if (count === whole) return formatNumber(count);
  return count - whole === 0.5 ? `${whole || ''}½` : formatNumber(count, 1);
}

function reasonSentence(standing: RatingStanding, score: Score, t: Translate): string {
  if (AGREEING_REASONS.includes(standing.reason)) {
    if (standing.two_sides) return t('reasonText.both_sides');
    return t('statusText.team', { opinion: countOpinion(score.approval, score.judged, standing.status === 'helpful', t) });
  }
  if (standing.display_status === 'people_are_divided') return t('statusText.divided');
  if (!score.judged && standing.reason === 'no_quorum')
    return t(Object.keys(score.uncounted).length ? 'statusText.nobodyCounts' : 'statusText.nobody');
  const key = `reasonText.${standing.reason}`;
  return key in STRINGS ? t(key as TranslationKey) : standing.reason.replaceAll('_', ' ');
}

function lessonSentence(standing: RatingStanding, score: Score, t: Translate): string {
  if (score.weight > 0)
    return t(score.label > 0 ? 'statusText.learnsGood' : 'statusText.learnsBad', { weight: formatNumber(score.weight) });
  return t(standing.display_status === 'people_are_divided' ? 'statusText.learnsNothingDivided' : 'statusText.learnsNothing');
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
