/** A key or link that is shown once, with a button that copies it. */
import { Copy } from 'lucide-react';
import { useSay } from '../i18n';
import { Button } from './button';
import { copyText } from './copy';
import { toast } from './toast';

/** Something that is told once. */
export function Secret({ text }: { text: string }) {
  const say = useSay();
  return (
    <div className="row nowrap secret">
      <code className="grow">{text}</code>
      <Button icon={Copy} onClick={() => void copyText(text).then(() => toast(say('copied')))}>
        {say('copy')}
      </Button>
    </div>
  );
}
