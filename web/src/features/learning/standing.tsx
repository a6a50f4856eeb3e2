import type { Schemas } from '../../api/client';
import { formatNumber, type Key, useSay } from '../../i18n';
import { STRINGS } from '../../i18n/strings';

const KINDS: Record<string, string> = { helpful: 'good', not_helpful: 'bad', contested: 'warn' };

export function StatusBadge({ status }: { status: string }) {
  const say = useSay();
  const key = `status.${status}`;
  return <span className={`badge ${KINDS[status] ?? ''}`}>{key in STRINGS ? say(key as Key) : status.replaceAll('_', ' ')}</span>;
}

export function Standing({ standing }: { standing: Schemas['NoteView']['standing'] }) {
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
