/** Rates a note or another public text: helpful, somewhat, or not, with reasons. */
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { queries } from '../../api/queries';
import { useSay } from '../../i18n';
import { Tags } from '../../ui/parts';
import { toast, toastFault } from '../../ui/toast';
import { retract } from '../chat/judging';
import { Standing } from './standing';

type Note = Schemas['NoteView'];

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
  await Promise.all(['notes', 'wanted', 'consensus'].map((key) => queries.invalidateQueries({ queryKey: [key] })));
}

/** Helpful, somewhat, or not, with reasons; and the way back. */
export function Judge({ item, note, rating }: { item: string; note: boolean; rating: Note['rating'] }) {
  const say = useSay();
  const [mine, setMine] = useState(rating);
  const [busy, setBusy] = useState(false);
  const [standing, setStanding] = useState<Note['standing'] | null>(null);
  const give = async (value: 0 | 0.5 | 1, tags: string[]) => {
    setBusy(true);
    try {
      const done = note
        ? await api.post('/v1/feedback/notes/{note_id}/ratings', { params: { path: { note_id: item } }, body: { value, tags } })
        : await api.post('/v1/feedback/ratings', { body: { item, value, tags } });
      setMine({ event: done.id, value, tags });
      setStanding(done.standing);
      void queries.invalidateQueries({ queryKey: ['notes'] });
      void queries.invalidateQueries({ queryKey: ['consensus'] });
    } catch (fault) {
      toastFault(fault);
    } finally {
      setBusy(false);
    }
  };
  const takeBack = async () => {
    try {
      await retract(mine!.event);
      setMine(null);
      setStanding(null);
      toast(say('judge.retracted'));
      await refresh();
    } catch (fault) {
      toastFault(fault);
    }
  };
  const choices = [
    [1, 'judge.helpful'],
    [0.5, 'judge.somewhat'],
    [0, 'judge.not'],
  ] as const;
  return (
    <div className="stack tight">
      <div className="row" role="group" aria-label={say('judge.question')}>
        <span className="small">{say('judge.question')}</span>
        {choices.map(([value, key]) => (
          <button
            key={value}
            type="button"
            className="chip"
            aria-pressed={mine?.value === value}
            disabled={busy}
            onClick={() => void give(value, mine?.value === value ? mine.tags : [])}
          >
            {say(key)}
          </button>
        ))}
        {mine && (
          <button type="button" className="link small" onClick={() => void takeBack()}>
            {say('judge.retract')}
          </button>
        )}
      </div>
      {mine && (
        <Tags
          legend={say('judge.reasons')}
          options={mine.value === 0 ? REASONS_DOWN : REASONS_UP}
          value={mine.tags}
          onChange={(tags) => void give(mine.value as 0 | 0.5 | 1, tags)}
        />
      )}
      {standing && <Standing standing={standing} />}
    </div>
  );
}
