/** Which dialogs about releases are open. The dialogs themselves load when they are needed. */
import type { ReleaseChange } from '../../api/types';
import { Store } from '../../store';

/** Whether the person is asked why to stop the assistant. */
export const stopDialogIsOpen = new Store(false);

/** The change that the person is asked to sign now. Kept here: what proposed it may be gone from the page by then. */
export const changeToSign = new Store<ReleaseChange | null>(null);
