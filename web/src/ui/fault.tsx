/** What went wrong, in the reader's language. */
import { ApiError } from '../api/client';
import { language, say, useSay } from '../i18n';
import { FAULT_OF_REQUEST, FAULT_OF_SERVER, FAULTS } from '../i18n/strings-faults';

export interface Told {
  text: string;
  /** The server's own words, in English, where `text` is not that. */
  detail: string | null;
}

export function told(error: unknown): Told {
  if (!(error instanceof ApiError)) return { text: error instanceof Error ? error.message : String(error), detail: null };
  if (error.status === 0) return { text: say('fault.offline'), detail: null };
  if (language.get() === 'en') return { text: error.message || say('chat.failed'), detail: null };
  const words = FAULTS[error.code ?? ''] ?? (error.status >= 500 ? FAULT_OF_SERVER : FAULT_OF_REQUEST);
  return { text: words, detail: error.message || null };
}

export function FaultWords({ error }: { error: unknown }) {
  useSay();
  const { text, detail } = told(error);
  return (
    <span>
      {text}
      {detail && <Detail text={detail} />}
    </span>
  );
}

export function Detail({ text }: { text: string }) {
  return (
    <span className="block tiny" lang="en">
      {text}
    </span>
  );
}
