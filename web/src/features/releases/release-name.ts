/** The name of a release, in the person's language. */
import { formatDayOfMonth, language, t } from '../../i18n';

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const RELEASE_NAME = /^Release (\d+), (\d+) (\w+)(?:: (.*))?$/;

/** The server's name of a release in the person's language. */
export function localReleaseName(name: string): string {
  const [, number, day, month, title] = RELEASE_NAME.exec(name) ?? [];
  if (language.get() === 'en' || !number || !day || !month) return name;
  const named = t('releases.name', { n: number, date: formatDayOfMonth(MONTHS.indexOf(month), Number(day)) });
  const learnt = /^learnt (\d+) lessons?$/.exec(title ?? '');
  const trained = /^trained from (.+)$/.exec(title ?? '');
  if (trained) return `${named}：${t('releases.trainedTitle', { model: trained[1]! })}`;
  const words = learnt ? t('releases.learntTitle', { n: Number(learnt[1]) }) : title;
  return words ? `${named}：${words}` : named;
}
