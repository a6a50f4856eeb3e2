/** The words by which people recognise an item, since nobody recognises an ID. */
import type { ItemWords } from '../../api/types';
import { type Translate, useTranslation } from '../../i18n';
import '../../i18n/pages/explanations';
import '../../i18n/pages/learning';

const MAX_TITLE_CHARS = 80;

/** The item as the title above its text: its question if it has one, else what it is. */
export function itemTitle(item: ItemWords, t: Translate): string {
  if (item.question !== null) return cutLine(item.question);
  return item.text === null ? withoutWords(item, t) : t(`kind.${item.kind}`);
}

/** The item in one line of plain text. */
export function itemLine(item: ItemWords, t: Translate): string {
  return item.text === null ? withoutWords(item, t) : cutLine(item.text);
}

function cutLine(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_TITLE_CHARS ? `${line.slice(0, MAX_TITLE_CHARS - 1)}…` : line;
}

/** The item with its question, in a few lines. */
export function ItemName({ item }: { item: ItemWords }) {
  const t = useTranslation();
  return (
    <span className="grow item-name">
      {item.question !== null && <span className="small muted one-line">{item.question}</span>}
      <span className={item.text === null ? 'muted' : 'two-lines'}>{item.text ?? withoutWords(item, t)}</span>
    </span>
  );
}

function withoutWords(item: ItemWords, t: Translate): string {
  if (item.yours) return t('item.yours');
  return t(item.kind === 'note' ? 'item.deletedNote' : 'item.private');
}
