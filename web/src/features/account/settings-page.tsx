/** The settings page: appearance, answer preferences, data and account. */
import { useQuery } from '@tanstack/react-query';
import { TriangleAlert } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import { api } from '../../api/client';
import { modesQuery, queryClient, settingsQuery } from '../../api/queries';
import type { SettingsChange } from '../../api/types';
import { language, LANGUAGES, t, useTranslation } from '../../i18n';
import '../../i18n/pages/documents';
import '../../i18n/pages/learning';
import '../../i18n/pages/people';
import { languageName } from '../../i18n/display-names';
import { useStore } from '../../store';
import { Button } from '../../ui/button';
import { draftOf, markUnsaved, useDraft } from '../../ui/drafts';
import { Field, SegmentedControl, Switch } from '../../ui/fields';
import { Page } from '../../ui/page';
import { QueryResult } from '../../ui/query-result';
import { theme, THEMES } from '../../ui/theme';
import { toast, toastError } from '../../ui/toast';
import { ImportExport } from '../chat/import-export';
import { modeName } from '../chat/modes';
import { AccountSettings } from './account-settings';
import { OfferedAnswers } from './offered-answers';
import { OwnLineage } from './own-lineage';

export default function SettingsPage() {
  const t = useTranslation();
  const query = useQuery(settingsQuery);
  const modes = useQuery(modesQuery);
  const update = async (body: SettingsChange) => {
    try {
      queryClient.setQueryData(settingsQuery.queryKey, await api.patch('/v1/settings', { body }));
      if (body.memory !== undefined) void queryClient.invalidateQueries({ queryKey: ['memories'] });
    } catch (error) {
      toastError(error);
      throw error;
    }
  };
  const set = (body: SettingsChange) => void update(body).catch(() => {});
  return (
    <Page title={t('nav.settings')}>
      <section className="card stack" aria-labelledby="set-look">
        <h2 id="set-look">{t('settings.appearance')}</h2>
        <div className="row wide-gap">
          <SegmentedControl
            legend={t('settings.language')}
            value={useStore(language)}
            onChange={language.set}
            options={LANGUAGES.map((one) => [one, one === 'zh' ? '中文' : 'English'] as const)}
          />
          <SegmentedControl
            legend={t('theme')}
            value={useStore(theme)}
            onChange={theme.set}
            options={THEMES.map((one) => [one, t(`theme.${one}`)] as const)}
          />
        </div>
      </section>
      <QueryResult query={query}>
        {(settings) => (
          <>
            <section className="card stack" aria-labelledby="set-answers">
              <h2 id="set-answers">{t('settings.answers')}</h2>
              <Instructions saved={settings.instructions} save={update} />
              <div className="row wide-gap align-top">
                {modes.data && (
                  <SegmentedControl
                    legend={t('chat.mode')}
                    value={settings.mode}
                    onChange={(mode) => set({ mode })}
                    options={modes.data.data.map((one) => [one.name, modeName(one)] as const)}
                  />
                )}
                <SegmentedControl
                  legend={t('settings.length')}
                  value={settings.length}
                  onChange={(length) => set({ length })}
                  options={(['short', 'normal', 'long'] as const).map((one) => [one, t(`length.${one}`)] as const)}
                />
                <SegmentedControl
                  legend={t('settings.bluntness')}
                  value={settings.bluntness}
                  onChange={(bluntness) => set({ bluntness })}
                  options={(['gentle', 'normal', 'blunt'] as const).map((one) => [one, t(`bluntness.${one}`)] as const)}
                />
                <Field label={t('settings.answerLanguage')}>
                  {(field) => (
                    <select
                      {...field}
                      className="input"
                      value={settings.language}
                      onChange={(event) => set({ language: event.target.value })}
                    >
                      {[...new Set(['auto', 'en', 'zh', 'de', 'fr', 'es', 'ja', settings.language])].map((one) => (
                        <option key={one} value={one}>
                          {one === 'auto' ? t('settings.languageAuto') : languageName(one)}
                        </option>
                      ))}
                    </select>
                  )}
                </Field>
              </div>
              <Switch
                label={t('documents.lookUp')}
                hint={t('documents.lookUpHint')}
                checked={settings.documents}
                onChange={(documents) => update({ documents })}
              />
              <p className="small muted">
                {t('settings.limits')} <Link href="/spec">{t('nav.spec')}</Link>
              </p>
            </section>
            <section className="card stack" aria-labelledby="set-learn">
              <h2 id="set-learn">{t('settings.learning')}</h2>
              <Switch
                label={t('settings.comparisons')}
                hint={t('settings.comparisonsHint')}
                checked={settings.comparisons}
                onChange={(comparisons) => update({ comparisons })}
              />
              <Switch
                label={t('settings.pin')}
                hint={t('settings.pinHint')}
                checked={settings.pin_champion}
                onChange={(pin_champion) => update({ pin_champion })}
              />
              <Switch
                label={t('memory.on')}
                hint={t('memory.onHint')}
                checked={settings.memory}
                onChange={(memory) => update({ memory })}
              />
              <OwnLineage />
              <p className="row">
                <Link href="/memory">{t('memory.manage')}</Link>
                <Link href="/releases/keys">{t('settings.releases')}</Link>
              </p>
            </section>
          </>
        )}
      </QueryResult>
      <OfferedAnswers />
      <section className="card stack" aria-labelledby="set-data">
        <h2 id="set-data">{t('settings.data')}</h2>
        <p className="muted small">{t('settings.dataText')}</p>
        <div className="row">
          <ImportExport />
        </div>
      </section>
      <AccountSettings />
    </Page>
  );
}

const MOST_CHARS = 2000;
const INSTRUCTIONS = 'instructions';

async function saveInstructions(save: (body: SettingsChange) => Promise<void>, text: string): Promise<void> {
  await save({ instructions: text });
  markUnsaved(INSTRUCTIONS, false);
  draftOf(INSTRUCTIONS).set(null);
  toast(t('saved'));
}

/** The personal instructions. Text that is not saved outlives the page, and leaving it says so. */
function Instructions({ saved, save }: { saved: string; save: (body: SettingsChange) => Promise<void> }) {
  const t = useTranslation();
  const [text, setDraft] = useDraft(INSTRUCTIONS, saved);
  const [busy, setBusy] = useState(false);
  const changed = text !== saved;
  const leaving = useRef({ changed, text, save });
  useEffect(() => {
    leaving.current = { changed, text, save };
    markUnsaved(INSTRUCTIONS, changed);
  });
  useEffect(
    () => () => {
      const left = leaving.current;
      if (left.changed)
        toast(t('settings.leftUnsaved'), {
          label: t('save'),
          run: () => void saveInstructions(left.save, left.text).catch(() => {}), // a toast has shown the error
        });
    },
    [t],
  );
  const submit = async () => {
    setBusy(true);
    try {
      await saveInstructions(save, text);
    } catch {
      // A toast has shown the error. The text stays in the field.
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <Field label={t('settings.instructions')} hint={t('settings.instructionsHint', { left: MOST_CHARS - text.length })}>
        {(field) => (
          <textarea
            {...field}
            className="input"
            maxLength={MOST_CHARS}
            placeholder={t('settings.instructionsExample')}
            value={text}
            onChange={(event) => setDraft(event.target.value)}
          />
        )}
      </Field>
      <div className="row" role="status">
        {changed && (
          <>
            <Button kind="primary" size="small" type="submit" busy={busy}>
              {t('save')}
            </Button>
            <Button size="small" onClick={() => setDraft(null)}>
              {t('settings.discard')}
            </Button>
            <span className="small warn-text row tight">
              <TriangleAlert size={15} aria-hidden="true" /> {t('settings.notSaved')}
            </span>
          </>
        )}
      </div>
    </form>
  );
}
