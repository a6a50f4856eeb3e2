/** Commands to enter in a terminal, with a button that copies them. */
import { Check, Copy } from 'lucide-react';
import { useTranslation } from '../i18n';
import { IconButton } from './button';
import { useCopied } from './clipboard';

export function Command({ lines }: { lines: readonly string[] }) {
  const t = useTranslation();
  const text = lines.join('\n');
  const [copied, copy] = useCopied(text);
  return (
    <div className="command-box">
      <pre className="command" tabIndex={0} role="group" aria-label={t('command')}>
        {text.split(/(\s+)/).map((part, index) => (
          <span key={index} className={part.trim() && 'word'}>
            {part}
          </span>
        ))}
      </pre>
      <IconButton icon={copied ? Check : Copy} label={t(copied ? 'copied' : 'copy')} size={16} onClick={copy} />
    </div>
  );
}
