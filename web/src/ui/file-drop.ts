/** Files that are dropped anywhere on the page. */
import { useEffect, useRef, useState } from 'react';

interface FileDrop {
  /** Whether files are taken right now. Otherwise a drop does nothing. */
  accepts: boolean;
  onFiles: (files: readonly File[]) => void;
  /** Called when a folder is among what is dropped: its files cannot be read. */
  onFolder: () => void;
}

/** Returns whether files are held over the page. */
export function useFileDrop(drop: FileDrop): boolean {
  const [isOver, setOver] = useState(false);
  const now = useRef(drop);
  useEffect(() => {
    now.current = drop;
  });
  useEffect(() => {
    // On the window: a file that is dropped beside the page's content must not be opened in place of the page.
    const onDragOver = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      setOver(now.current.accepts);
    };
    const onDragLeave = (event: DragEvent) => {
      if (!event.relatedTarget) setOver(false);
    };
    const onDrop = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault();
      setOver(false);
      const items = [...event.dataTransfer.items];
      if (items.some(isFolder)) now.current.onFolder();
      const files = items.flatMap((one) => (isFolder(one) ? [] : (one.getAsFile() ?? [])));
      if (now.current.accepts && files.length) now.current.onFiles(files);
    };
    addEventListener('dragover', onDragOver);
    addEventListener('dragleave', onDragLeave);
    addEventListener('drop', onDrop);
    return () => {
      removeEventListener('dragover', onDragOver);
      removeEventListener('dragleave', onDragLeave);
      removeEventListener('drop', onDrop);
    };
  }, []);
  return isOver;
}

const isFolder = (item: DataTransferItem) => item.webkitGetAsEntry()?.isDirectory === true;
