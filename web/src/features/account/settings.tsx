/** How it answers this person, how the page looks, and what belongs to the account. */
import { useQuery } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import { Link } from 'wouter';
import { api, type Schemas } from '../../api/client';
import { modesQuery, queries, settingsQuery } from '../../api/queries';
import { language, LANGUAGES, useSay } from '../../i18n';
import { useCell } from '../../store';
import { Button } from '../../ui/button';
import { Page } from '../../ui/page';
import { Field, Segments, Switch } from '../../ui/parts';
import { Loaded } from '../../ui/query-result';
import { theme, THEMES } from '../../ui/theme';
import { toast, toastFault } from '../../ui/toast';
import { Portability } from '../chat/import-export';
import { modeTitle } from '../chat/modes';
import { AccountSettings } from './account';

type Change = Schemas['SettingsChange'];

export default function SettingsPage() {
  const say = useSay();
  const query = useQuery(settingsQuery);
  const modes = useQuery(modesQuery);
  const change = async (body: Change) => {
    try {
      queries.setQueryData(settingsQuery.queryKey, await api.patch('/v1/settings', { body }));
      if (body.memory !== undefined) void queries.invalidateQueries({ queryKey: ['memories'] });
    } catch (fault) {
      toastFault(fault);
      throw fault;
    }
  };
  const set = (body: Change) => void change(body).catch(() => {});
  return (
    <Page title={say('nav.settings')}>
      <section className="card stack" aria-labelledby="set-look">
        <h2 id="set-look">{say('settings.look')}</h2>
        <div className="row wide-gap">
          <Segments
            legend={say('settings.language')}
            value={useCell(language)}
            onChange={language.set}
            options={LANGUAGES.map((one) => [one, one === 'zh' ? '中文' : 'English'] as const)}
          />
          <Segments
            legend={say('theme')}
            value={useCell(theme)}
            onChange={theme.set}
            options={THEMES.map((one) => [one, say(`theme.${one}`)] as const)}
          />
        </div>
      </section>
      <Loaded query={query}>
        {(settings) => (
          <>
            <section className="card stack" aria-labelledby="set-answers">
              <h2 id="set-answers">{say('settings.answers')}</h2>
              <Instructions given={settings.instructions} save={change} />
              <div className="row wide-gap align-top">
                {modes.data && (
                  <Segments
                    legend={say('chat.mode')}
                    value={settings.mode}
                    onChange={(mode) => set({ mode })}
                    options={modes.data.data.map((one) => [one.name, modeTitle(one)] as const)}
                  />
                )}
                <Segments
                  legend={say('settings.length')}
                  value={settings.length}
                  onChange={(length) => set({ length })}
                  options={(['short', 'normal', 'long'] as const).map((one) => [one, say(`length.${one}`)] as const)}
                />
                <Segments
                  legend={say('settings.bluntness')}
                  value={settings.bluntness}
                  onChange={(bluntness) => set({ bluntness })}
                  options={(['gentle', 'normal', 'blunt'] as const).map((one) => [one, say(`bluntness.${one}`)] as const)}
                />
                <Field label={say('settings.answerLanguage')}>
                  {(field) => (
                    <select {...field} className="input" value={settings.language} onChange={(event) => set({ language: event.target.value })}>
                      {[...new Set(['auto', 'en', 'zh', 'de', 'fr', 'es', 'ja', settings.language])].map((one) => (
                        <option key={one} value={one}>
                          {one === 'auto' ? say('settings.languageAuto') : nameOf(one)}
                        </option>
                      ))}
                    </select>
                  )}
                </Field>
              </div>
              <p className="small muted">{say('settings.bounds')}</p>
            </section>
            <section className="card stack" aria-labelledby="set-learn">
              <h2 id="set-learn">{say('settings.learning')}</h2>
              <Switch
                label={say('settings.comparisons')}
                hint={say('settings.comparisonsHint')}
                checked={settings.comparisons}
                onChange={(comparisons) => change({ comparisons })}
              />
              <Switch label={say('memory.on')} hint={say('memory.onHint')} checked={settings.memory} onChange={(memory) => change({ memory })} />
              <Link href="/memory">{say('memory.manage')}</Link>
            </section>
          </>
        )}
      </Loaded>
      <section className="card stack" aria-labelledby="set-data">
        <h2 id="set-data">{say('settings.data')}</h2>
        <p className="muted small">{say('settings.dataText')}</p>
        <div className="row">
          <Portability />
        </div>
      </section>
      <AccountSettings />
    </Page>
  );
}

function nameOf(code: string): string {
  try {
    return new Intl.DisplayNames([code], { type: 'language' }).of(code) ?? code;
  } catch {
    return code;
  }
}

const MOST_CHARS = 2000;

function Instructions({ given, save }: { given: string; save: (body: Change) => Promise<void> }) {
  const say = useSay();
  const [text, setText] = useState(given);
  const [busy, setBusy] = useState(false);
  useEffect(() => setText(given), [given]);
  const changed = text !== given;
  const keep = async () => {
    setBusy(true);
    try {
      await save({ instructions: text });
      toast(say('saved'));
    } catch {
      // It has been told, and the words are still there.
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      className="stack tight"
      onSubmit={(event) => {
        event.preventDefault();
        void keep();
      }}
    >
      <Field label={say('settings.instructions')} hint={say('settings.instructionsHint', { left: MOST_CHARS - text.length })}>
        {(field) => (
          <textarea
            {...field}
            className="input"
            maxLength={MOST_CHARS}
            placeholder={say('settings.instructionsExample')}
            value={text}
            onChange={(event) => setText(event.target.value)}
          />
        )}
      </Field>
      {changed && (
        <div className="row">
          <Button kind="primary" size="small" type="submit" busy={busy}>
            {say('save')}
          </Button>
          <Button size="small" onClick={() => setText(given)}>
            {say('cancel')}
          </Button>
        </div>
      )}
    </form>
  );
}
