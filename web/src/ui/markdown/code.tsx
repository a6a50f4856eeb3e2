import { Check, Copy, WrapText } from 'lucide-react';
import { createElement, lazy, memo, type ReactNode, Suspense, useEffect, useState } from 'react';
import { useTranslation } from '../../i18n';
import { useCopied } from '../clipboard';

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
  const t = useTranslation();
  const [copied, copy] = useCopied(code);
  const [wrap, setWrap] = useState(false);
  const text = (
    <pre tabIndex={0} className={wrap ? 'wrap' : undefined} aria-label={t('md.code')} role="group">
      <Highlighted code={code} language={language} />
    </pre>
  );
  return (
    <figure className="code">
      <figcaption>
        <span className="clip">{language || t('md.text')}</span>
        <button type="button" aria-pressed={wrap} onClick={() => setWrap(!wrap)}>
          <WrapText size={15} aria-hidden="true" /> {t('md.wrap')}
        </button>
        <button type="button" onClick={copy}>
          {copied ? <Check size={15} aria-hidden="true" /> : <Copy size={15} aria-hidden="true" />}
          <span aria-live="polite">{t(copied ? 'copied' : 'copy')}</span>
        </button>
      </figcaption>
      {language === 'mermaid' ? (
        <Suspense fallback={text}>
          <Diagram source={code}>{text}</Diagram>
        </Suspense>
      ) : (
        text
      )}
    </figure>
  );
});

function Highlighted({ code, language }: { code: string; language: string }) {
  const [, setLoaded] = useState(Boolean(highlight));
  const highlightable = language !== '' && code.length < LONGEST_HIGHLIGHTED;
  useEffect(() => {
    if (highlightable && !highlight) void loadHighlighter().then(() => setLoaded(true));
  }, [highlightable]);
  const tree = highlightable && highlight ? highlight(code, language) : null;
  return <code>{tree ? elements(tree) : code}</code>;
}

/** Turns the highlighter's tree into React elements. Only spans with classes become elements. */
function elements(node: Node): ReactNode {
  if (node.type === 'text') return node.value;
  const inside = node.children?.map(elements) ?? [];
  if (node.type !== 'element') return createElement('span', null, ...inside);
  return createElement('span', { className: node.properties?.className?.join(' ') }, ...inside);
}
