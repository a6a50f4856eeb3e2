/** A key or link that is shown once, with a button that copies it. */
import { Copy } from 'lucide-react';
import { useTranslation } from '../i18n';
import { Button } from './button';
import { copyWithToast } from './toast';

export function SecretField({ text }: { text: string }) {
  const t = useTranslation();
  return (
    <div className="row nowrap secret">
      <code className="grow">{text}</code>
      <Button icon={Copy} onClick={() => void copyWithToast(text)}>
        {t('copy')}
      </Button>
    </div>
  );
}
