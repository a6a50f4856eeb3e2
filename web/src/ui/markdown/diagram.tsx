/**
 * Mermaid diagrams. A sandboxed frame with an opaque origin draws them, and the page shows the result as an image: neither the diagram
 * nor the library can reach the page. One frame draws all diagrams.
 */
import { type ReactNode, useEffect, useState } from 'react';
import { useTranslation } from '../../i18n';
import { isDark, onThemeChange } from '../theme';

interface DrawResult {
  svg?: string;
  width?: number;
  height?: number;
  error?: string;
}

const pending = new Map<number, (result: DrawResult) => void>();
let count = 0;
let frame: Promise<HTMLIFrameElement> | null = null;

function openFrame(): Promise<HTMLIFrameElement> {
  frame ??= new Promise((resolve) => {
    const element = document.createElement('iframe');
    element.setAttribute('sandbox', 'allow-scripts');
    element.setAttribute('aria-hidden', 'true');
    element.tabIndex = -1;
    element.title = 'Diagrams';
    element.className = 'drawing-frame';
    element.src = '/mermaid.html';
    addEventListener('message', (event) => {
      if (event.source !== element.contentWindow) return;
      const data = event.data as DrawResult & { ready?: boolean; drawing?: number };
      if (data.ready) resolve(element);
      if (typeof data.drawing === 'number') {
        pending.get(data.drawing)?.(data);
        pending.delete(data.drawing);
      }
    });
    document.body.append(element);
  });
  return frame;
}

async function draw(source: string, dark: boolean): Promise<DrawResult> {
  const element = await openFrame();
  const drawing = ++count;
  return new Promise((resolve) => {
    pending.set(drawing, resolve);
    element.contentWindow!.postMessage({ drawing, source, dark }, '*');
  });
}

const DEBOUNCE_MS = 300;

/** The drawing, with its source folded below. Until there is a drawing, and if there cannot be one, the source is open. */
export default function Diagram({ source, children }: { source: string; children: ReactNode }) {
  const t = useTranslation();
  const [result, setResult] = useState<DrawResult | null>(null);
  const [dark, setDark] = useState(isDark);
  useEffect(() => onThemeChange(() => setDark(isDark())), []);
  useEffect(() => {
    let current = true;
    // Waits for a pause, since the source of a streaming diagram changes all the time.
    const timer = setTimeout(() => {
      void draw(source, dark).then((next) => current && setResult((before) => (next.error && before?.svg ? before : next)));
    }, DEBOUNCE_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [source, dark]);
  if (!result?.svg)
    return (
      <>
        <p className="drawing-note">{t(result ? 'md.renderFailed' : 'md.rendering')}</p>
        {children}
      </>
    );
  return (
    <>
      <div className="drawing" tabIndex={0} role="group" aria-label={t('md.diagram')}>
        <img
          src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(result.svg)}`}
          width={result.width}
          height={result.height}
          alt={t('md.diagramAlt')}
        />
      </div>
      <details className="drawing-source">
        <summary>{t('md.source')}</summary>
        {children}
      </details>
    </>
  );
}
