/** Commands to enter in a terminal, with a button that copies them. */
import { Check, Copy } from 'lucide-react';
import { useState } from 'react';
import { useTranslation } from '../i18n';
import { IconButton } from './button';
import { copyText } from './clipboard';

const COPIED_MS = 1600;

export function Command({ lines }: { lines: readonly string[] }) {
  const t = useTranslation();
  const [copied, setCopied] = useState(false);
  const text = lines.join('\n');
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <div className="command-box">
      <pre className="command" tabIndex={0} role="group" aria-label={t('command')}>
        {text}
      </pre>
      <IconButton icon={copied ? Check : Copy} label={t(copied ? 'copied' : 'copy')} size={16} onClick={() => void copy()} />
    </div>
  );
}
