/** What the next message is looked up in besides documents: the web, and posts, where this server has them. */
import { useQuery } from '@tanstack/react-query';
import { Globe, Rss } from 'lucide-react';
import { lookupQuery } from '../../api/queries';
import { useMayAdd } from '../../api/use-is-maintainer';
import { useTranslation } from '../../i18n';
import { useStore } from '../../store';
import { IconButton } from '../../ui/button';
import type { Chat } from '../chat/chat';

export function LookupSwitches({ chat, onChosen }: { chat: Chat; onChosen: () => void }) {
  const t = useTranslation();
  const options = useStore(chat.options);
  const lookup = useQuery({ ...lookupQuery, enabled: useMayAdd() }).data;
  const toggle = (name: 'web' | 'posts') => {
    const { [name]: isOn, ...others } = chat.options.get();
    chat.options.set(isOn ? others : { ...others, [name]: true });
    onChosen();
  };
  return (
    <>
      {lookup?.web && (
        <IconButton
          icon={Globe}
          label={t('lookup.web', { engine: lookup.web })}
          aria-pressed={options.web === true}
          onClick={() => toggle('web')}
        />
      )}
      {lookup?.posts && (
        <IconButton icon={Rss} label={t('lookup.posts')} aria-pressed={options.posts === true} onClick={() => toggle('posts')} />
      )}
    </>
  );
}
