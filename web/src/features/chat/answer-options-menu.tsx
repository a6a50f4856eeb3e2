/** The button below the message field that chooses the model, the mode, and whether to compare two answers. */
import { useQuery } from '@tanstack/react-query';
import { Boxes, Columns2, Search, SlidersHorizontal, TriangleAlert } from 'lucide-react';
import { lazy, Suspense, useState } from 'react';
import { modelsQuery, modesQuery, settingsQuery } from '../../api/queries';
import { useTranslation } from '../../i18n';
import { modelName } from '../../i18n/model-names';
import { useStore } from '../../store';
import { Menu, type MenuItem } from '../../ui/menu';
import { chooseModel, useAnswerMode, useAnswerModel } from './answer-options';
import type { Chat } from './chat';
import { modelLabel, modelMarks, togglePin } from '../releases/model-marks';
import { localReleaseName } from '../releases/release-name';
import { modeName } from './modes';

const ModelDialog = lazy(() => import('./model-dialog'));

/** How many models the menu lists. If there are more, the menu leads to a search. */
const MOST_LISTED = 6;

export function AnswerOptionsMenu({ chat, allowCompare, onChosen }: { chat: Chat; allowCompare: boolean; onChosen: () => void }) {
  const t = useTranslation();
  const options = useStore(chat.options);
  const { id: model, isChosen, missing } = useAnswerModel(chat);
  const models = useQuery(modelsQuery).data?.data ?? [];
  const modes = useQuery(modesQuery).data?.data ?? [];
  const settings = useQuery(settingsQuery).data;
  const ownMode = settings?.mode;
  const [searching, setSearching] = useState(false);
  const chosenMode = useAnswerMode(chat) ?? ownMode;
  const mode = modes.find((one) => one.name === chosenMode);
  const chose = (act: () => void) => () => {
    act();
    onChosen();
  };

  const items = (): MenuItem[] => {
    const list: MenuItem[] = [{ heading: t('chat.model') }];
    const current = models.find((one) => one.id === model);
    const listed = models.length > MOST_LISTED ? [...(current ? [current] : []), ...models.filter((one) => one !== current)] : models;
    const champion = models.find((one) => one.release_status === 'champion');
    if (champion)
      list.push({
        label: t('chat.released'),
        hint: localReleaseName(champion.release_name),
        checked: !isChosen,
        onSelect: chose(() => chooseModel(chat, null)),
      });
    for (const one of listed.filter((each) => each !== champion).slice(0, MOST_LISTED))
      list.push({
        label: modelLabel(one),
        // Without releases nothing is signed, so there is nothing to say about it.
        hint: (champion && modelMarks(one).map((key) => t(key)).join(' · ')) || (one.id.includes('+') ? undefined : one.id),
        checked: one.id === model && (isChosen || !champion),
        onSelect: chose(() => chooseModel(chat, one.id)),
      });
    if (models.length > MOST_LISTED)
      list.push({ label: t('model.searchAll', { n: models.length }), icon: Search, onSelect: () => setSearching(true) });
    list.push({ label: t('model.manage'), icon: Boxes, href: '/models' });
    if (modes.length) {
      list.push('separator', { heading: t('chat.mode') });
      for (const one of modes)
        list.push({
          label: modeName(one),
          checked: one.name === mode?.name,
          onSelect: chose(() => chat.options.set({ ...chat.options.get(), mode: one.name })),
        });
    }
    if (models.some((one) => one.release_status === 'challenger'))
      list.push('separator', {
        label: t('settings.pin'),
        hint: t('settings.pinHint'),
        checked: settings?.pin_champion ?? false,
        onSelect: chose(() => void togglePin(!settings?.pin_champion)),
      });
    if (allowCompare)
      list.push('separator', {
        label: t('chat.compareNext'),
        hint: t('chat.compareHint'),
        icon: Columns2,
        onSelect: chose(() => chat.options.set({ ...chat.options.get(), compare: options.compare ? undefined : true })),
      });
    return list;
  };
  const answering = models.find((one) => one.id === model);
  const label = [answering ? modelLabel(answering) : model && modelName(model), mode && mode.name !== 'regular' ? modeName(mode) : null].filter(Boolean).join(' · ');
  return (
    <>
      <Menu items={items}>
        <button type="button" className="pill" title={model ?? t('chat.answerOptions')}>
          <SlidersHorizontal size={15} aria-hidden="true" />
          <span className="visually-hidden">{t('chat.answerOptions')}: </span>
          <span className="clip">{label}</span>
        </button>
      </Menu>
      {missing && model && (
        <span className="tiny warn-text row tight nowrap missing-model" role="status">
          <TriangleAlert size={15} aria-hidden="true" />
          {t('model.missing', { missing: modelName(missing), model: modelName(model) })}
        </span>
      )}
      <Suspense fallback={null}>
        {searching && (
          <ModelDialog
            current={model}
            onClose={() => setSearching(false)}
            onChoose={(id) => {
              setSearching(false);
              chooseModel(chat, id);
            }}
            onClosed={onChosen}
          />
        )}
      </Suspense>
    </>
  );
}
