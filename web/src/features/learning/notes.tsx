/** Notes that people added to answers, and what needs the person's rating. A score is hidden until one has rated. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { CheckCheck, StickyNote } from 'lucide-react';
import { useState } from 'react';
import type { Schemas } from '../../api/client';
import { notesQuery, wantedQuery } from '../../api/queries';
import { formatAgo, useSay } from '../../i18n';
import { Button } from '../../ui/button';
import { Markdown } from '../../ui/markdown/markdown';
import { Empty, Page } from '../../ui/page';
import { Segments } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { toast, toastFault } from '../../ui/toast';
import { retract } from '../chat/judging';
import { Judge, refresh } from './rating-form';
import { Standing, StatusBadge } from './standing';

type Note = Schemas['NoteView'];
type Wanted = Schemas['WantedView'];
type Tab = 'wanted' | 'all' | 'mine';

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
