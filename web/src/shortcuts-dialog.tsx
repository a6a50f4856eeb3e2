import { type TranslationKey, useTranslation } from './i18n';
import './i18n/pages/rate';
import { Dialog } from './ui/dialog';

const KEYS: readonly (readonly [string, TranslationKey])[] = [
  ['Ctrl K', 'nav.search'],
  ['Ctrl Shift O', 'nav.newChat'],
  ['Ctrl Shift S', 'keys.side'],
  ['/', 'keys.composer'],
  ['Enter', 'keys.send'],
  ['Shift Enter', 'keys.line'],
  ['↑', 'keys.editLast'],
  ['Esc', 'keys.stop'],
  ['1  2  0', 'keys.compare'],
  ['1  2  =  S  U', 'keys.rate'],
  ['?', 'keys.help'],
];

export default function ShortcutsDialog({ onClose }: { onClose: () => void }) {
  const t = useTranslation();
  return (
    <Dialog title={t('nav.keys')} onClose={onClose}>
      <dl className="keys">
        {KEYS.map(([keys, what]) => (
          <div key={keys} className="row">
            <dt className="grow">{t(what)}</dt>
            <dd className="row tight">
              {keys
                .split(' ')
                .filter(Boolean)
                .map((one) => (
                  <kbd key={one}>{one}</kbd>
                ))}
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
