/**
 * Mermaid, drawn in a sandboxed frame of an opaque origin and shown as a picture: neither the drawing nor the library that draws can
 * reach the page. The frame is made with the first diagram and serves them all.
 */
import { useEffect, useState } from 'react';
import { useSay } from '../../i18n';
import { isDark, onThemeChange } from '../theme';

interface Drawn {
  svg?: string;
  width?: number;
  height?: number;
  error?: string;
}

const waiting = new Map<number, (drawn: Drawn) => void>();
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
      const data = event.data as Drawn & { ready?: boolean; drawing?: number };
      if (data.ready) resolve(element);
      if (typeof data.drawing === 'number') {
        waiting.get(data.drawing)?.(data);
        waiting.delete(data.drawing);
      }
    });
    document.body.append(element);
  });
  return frame;
}

async function draw(source: string, dark: boolean): Promise<Drawn> {
  const element = await openFrame();
  const drawing = ++count;
  return new Promise((resolve) => {
    waiting.set(drawing, resolve);
    element.contentWindow!.postMessage({ drawing, source, dark }, '*');
  });
}

const GROWS_MS = 300;

export default function Diagram({ source }: { source: string }) {
  const say = useSay();
  const [drawn, setDrawn] = useState<Drawn | null>(null);
  const [dark, setDark] = useState(isDark);
  useEffect(() => onThemeChange(() => setDark(isDark())), []);
  useEffect(() => {
    let current = true;
    // Not at every letter of a diagram that is still being written.
    const timer = setTimeout(() => {
      void draw(source, dark).then((result) => current && setDrawn((before) => (result.error && before?.svg ? before : result)));
    }, GROWS_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [source, dark]);
  if (!drawn) return <p className="drawing-note">{say('md.drawing')}</p>;
  if (!drawn.svg) return <p className="drawing-note">{say('md.undrawable')}</p>;
  return (
    <div className="drawing" tabIndex={0} role="group" aria-label={say('md.diagram')}>
      <img
        src={`data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawn.svg)}`}
        width={drawn.width}
        height={drawn.height}
        alt={say('md.diagramAlt')}
      />
    </div>
  );
}
