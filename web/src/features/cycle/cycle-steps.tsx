/** The steps of a cycle in plain words. The eight steps of the server are five for people. */
import { Check, Circle, LoaderCircle } from 'lucide-react';
import type { Cycle } from '../../api/types';
import { type TranslationKey, useTranslation } from '../../i18n';
import '../../i18n/pages/cycle';

type StepName = Cycle['steps'][number]['name'];
type StepState = Cycle['steps'][number]['state'];

const GROUPS: readonly { title: TranslationKey; names: readonly StepName[] }[] = [
  { title: 'cycle.step.agree', names: ['consensus', 'lessons'] },
  { title: 'cycle.step.train', names: ['training'] },
  { title: 'cycle.step.test', names: ['exams'] },
  { title: 'cycle.step.decide', names: ['gate'] },
  { title: 'cycle.step.use', names: ['proposal', 'canary', 'promotion'] },
];

const ICONS = { done: Check, current: LoaderCircle, waiting: Circle };

export interface StepGroup {
  title: TranslationKey;
  state: StepState;
}

/** A group is done when all of its steps are, and current from its first step on. */
export function groupSteps(steps: Cycle['steps']): StepGroup[] {
  const states = new Map(steps.map((step) => [step.name, step.state]));
  return GROUPS.map(({ title, names }) => {
    const found = names.map((name) => states.get(name) ?? 'waiting');
    const state = found.every((one) => one === 'done') ? 'done' : found.every((one) => one === 'waiting') ? 'waiting' : 'current';
    return { title, state };
  });
}

/** `used`: the model is in use, also if the cycle ended before and a person chose it. */
export function CycleSteps({ cycle, running, used = false }: { cycle: Pick<Cycle, 'steps'>; running: boolean; used?: boolean }) {
  const t = useTranslation();
  return (
    <ol className="cycle-steps">
      {groupSteps(cycle.steps).map(({ title, state }) => {
        const shown = used ? 'done' : state === 'current' && !running ? 'waiting' : state;
        const Icon = ICONS[shown];
        return (
          <li key={title} className={`cycle-step ${shown}`} aria-current={shown === 'current' ? 'step' : undefined}>
            <Icon size={16} aria-hidden="true" />
            <span>{t(title)}</span>
            <span className="visually-hidden">({t(`cycle.state.${shown}`)})</span>
          </li>
        );
      })}
    </ol>
  );
}
