/** The messages of an exam or spec case, verbatim. */
import { displayName } from '../../i18n/display-names';

export function Transcript({ messages }: { messages: readonly Record<string, unknown>[] }) {
  return (
    <>
      {messages.map((message, index) => (
        <div key={index}>
          <span className="tiny muted">{displayName('messageRole', String(message.role))}</span>
          <div className="plain verbatim">
            {typeof message.content === 'string' ? message.content : JSON.stringify(message.content, null, 2)}
          </div>
        </div>
      ))}
    </>
  );
}
