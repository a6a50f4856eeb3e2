/** What the next message is looked up in besides documents: the web, where this server has a search engine. */
import { useQuery } from '@tanstack/react-query';
import { Globe } from 'lucide-react';
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
  if (!lookup?.web) return null;
  const toggle = () => {
    const { web, ...others } = chat.options.get();
    chat.options.set(web ? others : { ...others, web: true });
    onChosen();
  };
  return (
    <IconButton
      icon={Globe}
      label={t('lookup.web', { engine: lookup.web })}
      aria-pressed={options.web === true}
      onClick={toggle}
    />
  );
}
