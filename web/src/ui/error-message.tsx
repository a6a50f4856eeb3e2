/** Error messages in the person's language. */
import { ApiError } from '../api/client';
import { language, t, useTranslation } from '../i18n';
import { CHINESE_REQUEST_ERROR, CHINESE_SERVER_ERROR, CHINESE_ERRORS } from '../i18n/strings-errors';

export interface DescribedError {
  text: string;
  /** The server's English message, if `text` is a translation. */
  detail: string | null;
}

export function describeError(error: unknown): DescribedError {
  if (!(error instanceof ApiError)) return { text: error instanceof Error ? error.message : String(error), detail: null };
  if (error.status === 0) return { text: t('error.offline'), detail: null };
  if (language.get() === 'en') return { text: error.message || t('chat.failed'), detail: null };
  const text = CHINESE_ERRORS[error.code ?? ''] ?? (error.status >= 500 ? CHINESE_SERVER_ERROR : CHINESE_REQUEST_ERROR);
  return { text, detail: error.message || null };
}

export function ErrorMessage({ error }: { error: unknown }) {
  useTranslation();
  const { text, detail } = describeError(error);
  return (
    <span>
      {text}
      {detail && <ServerMessage text={detail} />}
    </span>
  );
}

export function ServerMessage({ text }: { text: string }) {
  return (
    <span className="block tiny" lang="en">
      {text}
    </span>
  );
}
