/** The messages of an exam or spec case, verbatim. */
import { nameOf } from '../../i18n/names';

/** Messages as they were put, to the letter. */
export function Verbatim({ messages }: { messages: readonly Record<string, unknown>[] }) {
  return (
    <>
      {messages.map((message, index) => (
        <div key={index}>
          <span className="tiny muted">{nameOf(String(message.role))}</span>
          <div className="plain verbatim">{typeof message.content === 'string' ? message.content : JSON.stringify(message.content, null, 2)}</div>
        </div>
      ))}
    </>
  );
}
