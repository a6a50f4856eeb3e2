/** Sends a file as it is, and says how far it is: `fetch` cannot. */
import { ApiError, readError } from '../../api/client';
import type { AddedDocument } from '../../api/types';

const MOST_NAME_CHARS = 200;

/** Whom a file is for: a conversation, a folder, or, with neither, everybody. */
export interface FilePlace {
  conversation?: string;
  folder?: string;
}

interface SendOptions {
  signal?: AbortSignal;
  /** Called with the part that was sent, from 0 to 1. */
  onProgress?: (part: number) => void;
}

/** Throws an ApiError if the server refuses the file, and an AbortError once `signal` is aborted. */
export async function sendFile(file: File, place: FilePlace, { signal, onProgress }: SendOptions = {}): Promise<AddedDocument> {
  const query = new URLSearchParams({ name: lastCodePoints(file.name, MOST_NAME_CHARS), ...place });
  const response = await send(`/v1/documents?${query}`, file, signal, onProgress);
  if (!response.ok) throw await readError(response);
  return (await response.json()) as AddedDocument;
}

function send(url: string, file: File, signal?: AbortSignal, onProgress?: (part: number) => void): Promise<Response> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    request.upload.onprogress = (event) => {
      if (event.lengthComputable && event.total) onProgress?.(event.loaded / event.total);
    };
    request.onload = () => {
      const retryAfter = request.getResponseHeader('retry-after');
      resolve(new Response(request.responseText || null, { status: request.status, headers: retryAfter ? { 'retry-after': retryAfter } : {} }));
    };
    request.onerror = () => reject(new ApiError(0, 'unreachable'));
    request.onabort = () => reject(new DOMException('The upload was stopped.', 'AbortError'));
    request.onloadend = () => signal?.removeEventListener('abort', stop);
    request.open('POST', url);
    request.setRequestHeader('content-type', 'application/octet-stream');
    if (signal?.aborted) {
      reject(new DOMException('The upload was stopped.', 'AbortError'));
      return;
    }
    signal?.addEventListener('abort', stop);
    request.send(file);
  });
}

/** The end of a name, with which its type stands. */
const lastCodePoints = (text: string, most: number) => Array.from(text).slice(-most).join('');
