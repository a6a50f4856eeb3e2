/** Rates a note or another public text as helpful, somewhat helpful or not helpful, with reasons. */
import { useState } from 'react';
import { api } from '../../api/client';
import { queryClient } from '../../api/queries';
import type { Note } from '../../api/types';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import { TagPicker } from '../../ui/fields';
import { toast, toastError } from '../../ui/toast';
import { retractFeedback } from '../chat/feedback';
import { RatingStatus } from './rating-status';

const REASONS_UP = [
  ['sources', 'reason.sources'],
  ['context', 'reason.context'],
  ['clear', 'tag.clear'],
  ['neutral', 'reason.neutral'],
] as const;

const REASONS_DOWN = [
  ['wrong', 'tag.wrong'],
  ['no-sources', 'reason.noSources'],
  ['off-topic', 'reason.offTopic'],
  ['argues', 'reason.argues'],
  ['not-needed', 'reason.notNeeded'],
] as const;

export async function refresh(): Promise<void> {
  await Promise.all(['notes', 'wanted', 'consensus', 'corrections', 'rounds', 'lessons'].map((key) => queryClient.invalidateQueries({ queryKey: [key] })));
}

export function RatingForm({ item, note, rating }: { item: string; note: boolean; rating: Note['rating'] }) {
  const t = useTranslation();
  const [ownRating, setOwnRating] = useState(rating);
  const [busy, setBusy] = useState(false);
  const [standing, setStanding] = useState<Note['standing'] | null>(null);
  const submit = async (value: 0 | 0.5 | 1, tags: string[]) => {
    setBusy(true);
    try {
      const created = note
        ? await api.post('/v1/feedback/notes/{note_id}/ratings', { params: { path: { note_id: item } }, body: { value, tags } })
        : await api.post('/v1/feedback/ratings', { body: { item, value, tags } });
      setOwnRating({ event: created.id, value, tags });
      setStanding(created.standing);
      void queryClient.invalidateQueries({ queryKey: ['notes'] });
      void queryClient.invalidateQueries({ queryKey: ['consensus'] });
      void queryClient.invalidateQueries({ queryKey: ['corrections'] });
    } catch (error) {
      toastError(error);
    } finally {
      setBusy(false);
    }
  };
  const retract = async () => {
    try {
      await retractFeedback(ownRating!.event);
      setOwnRating(null);
      setStanding(null);
      toast(t('rating.retracted'));
      await refresh();
    } catch (error) {
      toastError(error);
    }
  };
  const choices = [
    [1, 'rating.helpful'],
    [0.5, 'rating.somewhat'],
    [0, 'rating.not'],
  ] as const;
  return (
    <div className="stack tight">
      <div className="row" role="group" aria-label={t('rating.question')}>
        <span className="small">{t('rating.question')}</span>
        {choices.map(([value, key]) => (
          <button
            key={value}
            type="button"
            className="chip"
            aria-pressed={ownRating?.value === value}
            disabled={busy}
            onClick={() => void submit(value, ownRating?.value === value ? ownRating.tags : [])}
          >
            {t(key)}
          </button>
        ))}
        {ownRating && (
          <button type="button" className="link small" onClick={() => void retract()}>
            {t('rating.retract')}
          </button>
        )}
      </div>
      {ownRating && (
        <TagPicker
          legend={t('rating.reasons')}
          options={ownRating.value === 0 ? REASONS_DOWN : REASONS_UP}
          value={ownRating.tags}
          onChange={(tags) => void submit(ownRating.value as 0 | 0.5 | 1, tags)}
        />
      )}
      {standing && <RatingStatus standing={standing} note={note} />}
    </div>
  );
}
