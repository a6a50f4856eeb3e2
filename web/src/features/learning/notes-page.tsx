/** The notes page: items that need the person's rating, and all notes. Scores stay hidden until the person has rated. */
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { CheckCheck, StickyNote } from 'lucide-react';
import { useState } from 'react';
import { notesQuery, ratingQueueQuery } from '../../api/queries';
import type { Note, QueuedItem } from '../../api/types';
import { formatRelativeTime, useTranslation } from '../../i18n';
import '../../i18n/pages/learning';
import '../../i18n/pages/rate';
import { Button } from '../../ui/button';
import { SegmentedControl } from '../../ui/fields';
import { Markdown } from '../../ui/markdown/markdown';
import { EmptyState, Page } from '../../ui/page';
import { PagedList } from '../../ui/paged-list';
import { QueryResult } from '../../ui/query-result';
import { toast, toastError } from '../../ui/toast';
import { retractFeedback } from '../chat/feedback';
import { RatingForm, refresh } from './rating-form';
import { RatingStatus, StatusBadge } from './rating-status';

type Tab = 'wanted' | 'all' | 'mine';

export default function NotesPage() {
  const t = useTranslation();
  const queue = useQuery(ratingQueueQuery);
  const rateable = queue.data?.data.filter((one) => one.text !== null) ?? [];
  const [tab, setTab] = useState<Tab | null>(null);
  const shown = tab ?? (rateable.length || !queue.isSuccess ? 'wanted' : 'all');
  return (
    <Page title={t('nav.notes')} lead={t('notes.lead')}>
      <SegmentedControl
        legend={t('notes.which')}
        hideLegend
        value={shown}
        onChange={setTab}
        options={[
          ['wanted', t('notes.queue', { n: rateable.length })],
          ['all', t('notes.all')],
          ['mine', t('notes.mine')],
        ]}
      />
      {shown === 'wanted' ? (
        <QueryResult query={queue}>
          {() =>
            rateable.length ? (
              <ul className="stack">
                {rateable.map((one) => (
                  <QueuedItemCard key={one.item} queue={one} />
                ))}
              </ul>
            ) : (
              <EmptyState icon={CheckCheck} title={t('notes.queueEmpty')} text={t('notes.queueEmptyText')} />
            )
          }
        </QueryResult>
      ) : (
        <NoteList key={shown} yours={shown === 'mine'} />
      )}
    </Page>
  );
}

function NoteList({ yours }: { yours: boolean }) {
  const t = useTranslation();
  const query = useInfiniteQuery(notesQuery(yours));
  const empty = <EmptyState icon={StickyNote} title={t(yours ? 'notes.noneMine' : 'notes.none')} text={t('notes.noneText')} />;
  return (
    <PagedList query={query} empty={empty}>
      {(notes) => (
        <ul className="stack">
          {notes.map((note) => (
            <NoteCard key={note.id} note={note} />
          ))}
        </ul>
      )}
    </PagedList>
  );
}

function NoteCard({ note }: { note: Note }) {
  const t = useTranslation();
  const retract = async () => {
    try {
      await retractFeedback(note.id);
      toast(t('note.retracted'));
      await refresh();
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <li className="card note">
      <div className="row">
        <StatusBadge status={note.standing.display_status} />
        {note.yours && <span className="badge">{t('notes.yours')}</span>}
        <span className="grow" />
        <span className="tiny muted">{formatRelativeTime(note.created_utc)}</span>
      </div>
      {note.text === null ? <p className="muted">{t('notes.deleted')}</p> : <Markdown text={note.text} />}
      {note.yours ? (
        <div className="row">
          <RatingStatus standing={note.standing} note />
          <span className="grow" />
          <Button size="small" kind="danger" onClick={() => void retract()}>
            {t('rating.retract')}
          </Button>
        </div>
      ) : (
        <>
          <RatingForm item={note.id} note rating={note.rating} />
          <RatingStatus standing={note.standing} note />
        </>
      )}
    </li>
  );
}

function QueuedItemCard({ queue }: { queue: QueuedItem }) {
  const t = useTranslation();
  return (
    <li className="card note">
      <div className="row">
        <span className="badge">{t(`kind.${queue.kind}`)}</span>
        <span className="small muted">{t(queue.why === 'round' ? 'rate.why.roundOf' : `rate.why.${queue.why}`)}</span>
      </div>
      <Markdown text={queue.text ?? ''} />
      <RatingForm item={queue.item} note={queue.kind === 'note'} rating={null} />
    </li>
  );
}
