/** The places that documents may be for: everybody, and the folders of the person. */
import { useQuery } from '@tanstack/react-query';
import { foldersQuery } from '../../api/queries';
import type { DocumentView } from '../../api/types';
import { useIsMaintainer, useMayAdd } from '../../api/use-is-maintainer';
import { useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import { EVERYBODY } from './documents';

export type PlaceOption = readonly [id: string, name: string];

export function useFolderOptions(): readonly PlaceOption[] {
  const t = useTranslation();
  const folders = useQuery(foldersQuery).data?.data ?? [];
  return folders.map((folder) => [folder.id, t('documents.inFolder', { name: folder.name })] as const);
}

/** Where the person may add files; undefined until it is known. */
export function usePlacesToAdd(): readonly PlaceOption[] | undefined {
  const t = useTranslation();
  const isMaintainer = useIsMaintainer();
  const mayAdd = useMayAdd();
  const folders = useFolderOptions();
  const areLoaded = useQuery(foldersQuery).isSuccess;
  if (isMaintainer === undefined || !areLoaded) return undefined;
  if (!mayAdd) return [];
  return isMaintainer ? [[EVERYBODY, t('documents.everybody')], ...folders] : folders;
}

/** Whether the person may rename and remove a document. */
export function useMayChange(document: DocumentView): boolean {
  const isMaintainer = useIsMaintainer();
  const mayAdd = useMayAdd();
  return mayAdd && (document.scope !== 'everybody' || isMaintainer === true);
}

/** Says for whom a document is. */
export function usePlaceName(document: DocumentView): string {
  const t = useTranslation();
  const folders = useQuery(foldersQuery).data?.data ?? [];
  if (document.scope === 'everybody') return t('documents.everybody');
  if (document.scope === 'conversation') return t('documents.inChat');
  if (document.scope === 'library') return t('documents.inLibrary');
  return t('documents.inFolder', { name: folders.find((one) => one.id === document.folder)?.name ?? '…' });
}
