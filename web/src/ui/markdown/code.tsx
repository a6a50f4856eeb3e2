import { Check, Copy, WrapText } from 'lucide-react';
import { createElement, lazy, memo, type ReactNode, Suspense, useEffect, useState } from 'react';
import { useSay } from '../../i18n';
import { copyText } from '../copy';

type Node = { type: string; value?: string; tagName?: string; properties?: { className?: string[] }; children?: Node[] };
type Highlight = (code: string, language: string) => Node | null;

let highlight: Highlight | null = null;
let loading: Promise<void> | null = null;

function loadHighlighter(): Promise<void> {
  loading ??= import('./highlight').then((loaded) => {
    highlight = loaded.highlight;
  });
  return loading;
}

const Diagram = lazy(() => import('./diagram'));
const LONGEST_HIGHLIGHTED = 30_000;

export const CodeBlock = memo(function CodeBlock({ code, language }: { code: string; language: string }) {
  const say = useSay();
  const [copied, setCopied] = useState(false);
  const [wrap, setWrap] = useState(false);
  const copy = async () => {
    await copyText(code);
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  return (
    <figure className="code">
      <figcaption>
        <span className="clip">{language || say('md.text')}</span>
        <button type="button" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          <WrapText size={15} aria-hidden="true" /> {say('md.wrap')}
        </button>
        <button type="button" onClick={() => void copy()}>
          {copied ? <Check size={15} aria-hidden="true" /> : <Copy size={15} aria-hidden="true" />}
          <span aria-live="polite">{say(copied ? 'copied' : 'copy')}</span>
        </button>
      </figcaption>
      {language === 'mermaid' && (
        <Suspense fallback={null}>
          <Diagram source={code} />
        </Suspense>
      )}
      <pre tabIndex={0} className={wrap ? 'wrap' : undefined} aria-label={say('md.code')} role="group">
        <Highlighted code={code} language={language} />
      </pre>
    </figure>
  );
});

function Highlighted({ code, language }: { code: string; language: string }) {
  const [, ready] = useState(Boolean(highlight));
  const wanted = language !== '' && code.length < LONGEST_HIGHLIGHTED;
  useEffect(() => {
    if (wanted && !highlight) void loadHighlighter().then(() => ready(true));
  }, [wanted]);
  const tree = wanted && highlight ? highlight(code, language) : null;
  return <code>{tree ? elements(tree) : code}</code>;
}

/** Only spans with classes come out of the highlighter; nothing else is made into an element. */
function elements(node: Node): ReactNode {
  if (node.type === 'text') return node.value;
  const inside = node.children?.map(elements) ?? [];
  if (node.type !== 'element') return createElement('span', null, ...inside);
  return createElement('span', { className: node.properties?.className?.join(' ') }, ...inside);
}
