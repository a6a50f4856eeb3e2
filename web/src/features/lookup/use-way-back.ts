/** The chat that a document is opened from. */
import { useLocation } from 'wouter';
import { type Asked, NOT_ASKED } from '../documents/documents';

export function useWayBack(): Asked {
  const chat = /^\/c\/([\w-]+)$/.exec(useLocation()[0])?.[1];
  return chat ? { ...NOT_ASKED, chat } : NOT_ASKED;
}
