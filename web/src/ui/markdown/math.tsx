import { memo, useEffect, useLayoutEffect, useRef, useState } from 'react';

type Katex = typeof import('./katex').default;
let katex: Katex | null = null;
let loading: Promise<void> | null = null;

/** A formula. KaTeX loads with the first one. The source is shown until then, and if KaTeX cannot render it. */
export const Formula = memo(function Formula({ tex, display = false }: { tex: string; display?: boolean }) {
  const place = useRef<HTMLSpanElement>(null);
  const [ready, setReady] = useState(Boolean(katex));
  useEffect(() => {
    if (ready) return;
    loading ??= import('./katex').then((loaded) => {
      katex = loaded.default;
    });
    void loading.then(() => setReady(true));
  }, [ready]);
  // Before the browser paints: a formula is never seen empty.
  useLayoutEffect(() => {
    if (!ready || !katex || !place.current) return;
    try {
      katex.render(tex, place.current, { displayMode: display, trust: false, strict: 'ignore', maxExpand: 200, maxSize: 20 });
    } catch {
      place.current.textContent = tex; // no formula: its source says more than an error would
    }
  }, [tex, display, ready]);
  // React owns the element and KaTeX its content: the key makes a new element for a new formula.
  return (
    <span
      key={ready ? tex : 'source'}
      ref={place}
      className={display ? 'formula display' : 'formula'}
      tabIndex={display ? 0 : undefined}
      role={display ? 'group' : undefined}
      aria-label={display ? tex : undefined}
    >
      {ready ? null : tex}
    </span>
  );
});
