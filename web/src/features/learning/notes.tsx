/** Notes that people added to answers, and what needs the person's rating. A score is hidden until one has rated. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { CheckCheck, StickyNote } from 'lucide-react';
import { useState } from 'react';
import { api, type Schemas } from '../../api/client';
import { notesQuery, queries, wantedQuery } from '../../api/queries';
import { retract } from '../chat/judging';
import { formatAgo, formatNumber, useSay } from '../../i18n';
import { Markdown } from '../../ui/markdown/markdown';
import { Button } from '../../ui/button';
import { Empty, Loaded, Page, Segments, Tags } from '../../ui/parts';
import { toast, toastFault } from '../../ui/toast';
import { StatusBadge } from './standing';

type Note = Schemas['NoteView'];
type Wanted = Schemas['WantedView'];
type Tab = 'wanted' | 'all' | 'mine';

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

export default function NotesPage() {
  const say = useSay();
  const wanted = useQuery(wantedQuery);
  const rateable = wanted.data?.data.filter((one) => one.text !== null) ?? [];
  const [tab, setTab] = useState<Tab | null>(null);
  const shown = tab ?? (rateable.length || !wanted.isSuccess ? 'wanted' : 'all');
  return (
    <Page title={say('nav.notes')} lead={say('notes.lead')}>
      <Segments
        legend={say('notes.which')}
        hideLegend
        value={shown}
        onChange={setTab}
        options={[
          ['wanted', say('notes.wanted', { n: rateable.length })],
          ['all', say('notes.all')],
          ['mine', say('notes.mine')],
        ]}
      />
      {shown === 'wanted' ? (
        <Loaded query={wanted}>
          {() =>
            rateable.length ? (
              <ul className="stack">
                {rateable.map((one) => (
                  <WantedCard key={one.item} wanted={one} />
                ))}
              </ul>
            ) : (
              <Empty icon={CheckCheck} title={say('notes.noneWanted')} text={say('notes.noneWantedText')} />
            )
          }
        </Loaded>
      ) : (
        <NoteList key={shown} yours={shown === 'mine'} />
      )}
    </Page>
  );
}

function NoteList({ yours }: { yours: boolean }) {
  const say = useSay();
  const query = useInfiniteQuery(notesQuery(yours));
  const notes = query.data?.pages.flatMap((page) => page.data) ?? [];
  if (query.isSuccess && !notes.length)
    return <Empty icon={StickyNote} title={say(yours ? 'notes.noneMine' : 'notes.none')} text={say('notes.noneText')} />;
  return (
    <>
      <Loaded query={query}>
        {() => (
          <ul className="stack">
            {notes.map((note) => (
              <NoteCard key={note.id} note={note} />
            ))}
          </ul>
        )}
      </Loaded>
      {query.hasNextPage && (
        <Button busy={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
          {say('loadMore')}
        </Button>
      )}
    </>
  );
}

async function refresh(): Promise<void> {
  await Promise.all(['notes', 'wanted', 'consensus'].map((key) => queries.invalidateQueries({ queryKey: [key] })));
}

export function NoteCard({ note }: { note: Note }) {
  const say = useSay();
  const takeBack = async () => {
    try {
      await retract(note.id);
      toast(say('note.takenBack'));
      await refresh();
    } catch (fault) {
      toastFault(fault);
    }
  };
  return (
    <li className="card note">
      <div className="row">
        <StatusBadge status={note.standing.status} />
        {note.yours && <span className="badge">{say('notes.yours')}</span>}
        <span className="grow" />
        <span className="tiny muted">{formatAgo(note.created_utc)}</span>
      </div>
      {note.text === null ? <p className="muted">{say('notes.deleted')}</p> : <Markdown text={note.text} />}
      {note.yours ? (
        <div className="row">
          <Standing standing={note.standing} />
          <span className="grow" />
          <Button size="small" kind="danger" onClick={() => void takeBack()}>
            {say('judge.retract')}
          </Button>
        </div>
      ) : (
        <>
          <Judge item={note.id} note rating={note.rating} />
          <Standing standing={note.standing} />
        </>
      )}
    </li>
  );
}

function WantedCard({ wanted }: { wanted: Wanted }) {
  const say = useSay();
  return (
    <li className="card note">
      <div className="row">
        <span className="badge">{say(`kind.${wanted.kind}`)}</span>
        <span className="small muted">{say(`why.${wanted.why}`)}</span>
      </div>
      <Markdown text={wanted.text ?? ''} />
      <Judge item={wanted.item} note={wanted.kind === 'note'} rating={null} />
    </li>
  );
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

export function Standing({ standing }: { standing: Note['standing'] }) {
  const say = useSay();
  return (
    <details className="standing small">
      <summary className="muted">{say('standing.title')}</summary>
      <div className="stack tight">
        {standing.explanation.map((line) => (
          <p key={line}>{line}</p>
        ))}
        {standing.score ? (
          <dl className="facts num">
            <dt>{say('standing.bridging')}</dt>
            <dd>{formatNumber(standing.score.bridging)}</dd>
            {standing.score.sides.map((side, index) => (
              <SideFacts key={index} name={say(index ? 'side.b' : 'side.a')} side={side} />
            ))}
          </dl>
        ) : (
          <p className="muted">{say('standing.hidden')}</p>
        )}
      </div>
    </details>
  );
}

function SideFacts({ name, side }: { name: string; side: Schemas['SideScore'] }) {
  const say = useSay();
  return (
    <>
      <dt>{name}</dt>
      <dd>{say('standing.side', { n: side.ratings, approval: formatNumber(side.approval), estimate: formatNumber(side.estimate) })}</dd>
    </>
  );
}
