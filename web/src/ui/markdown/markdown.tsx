/** Markdown as React elements. There is no HTML in it at any point: what a model or a person wrote as HTML is shown as it was written. */
import { ImageOff } from 'lucide-react';
import { isValidElement, memo, type ReactElement, type ReactNode, useMemo } from 'react';
import Renderer, { type Components, type Options } from 'react-markdown';
import remarkGfm from 'remark-gfm';
import remarkMath from 'remark-math';
import { say } from '../../i18n';
import { normaliseMath, plainParagraph, splitBlocks } from './blocks';
import { CodeBlock } from './code';
import { safeAddress, shortAddress } from './links';
import { Formula } from './math';

const components: Components = {
  a({ href, children }) {
    const address = safeAddress(href);
    if (!address) return <span>{children}</span>;
    return (
      <a href={address} target="_blank" rel="noopener noreferrer nofollow ugc" title={address}>
        {children}
      </a>
    );
  },
  // Pictures from elsewhere would tell their host who reads what: they are links that one may follow.
  img({ src, alt }) {
    const address = safeAddress(typeof src === 'string' ? src : null);
    const words = alt || (address ? shortAddress(address) : say('md.image'));
    if (!address) return <span className="picture">{words}</span>;
    return (
      <a className="picture" href={address} target="_blank" rel="noopener noreferrer nofollow ugc" title={address}>
        <ImageOff size={15} aria-hidden="true" /> {words}
      </a>
    );
  },
  pre({ children }) {
    if (isValidElement<{ className?: string; children?: ReactNode }>(children)) {
      const { className = '', children: inside } = children.props;
      const text = wordsOf(inside).replace(/\n$/, '');
      if (className.includes('math-display')) return <Formula tex={text} display />;
      return <CodeBlock language={/language-([\w+#.-]+)/.exec(className)?.[1] ?? ''} code={text} />;
    }
    return <pre>{children}</pre>;
  },
  code({ className = '', children }) {
    if (className.includes('math-inline')) return <Formula tex={wordsOf(children)} />;
    return <code>{children}</code>;
  },
  table({ children }) {
    return (
      <div className="table-box" tabIndex={0} role="group" aria-label={say('md.table')}>
        <table className="table">{children}</table>
      </div>
    );
  },
  input({ checked }) {
    return <input type="checkbox" checked={Boolean(checked)} readOnly disabled aria-label={say(checked ? 'md.done' : 'md.open')} />;
  },
  // A heading of an answer stands below those of the page.
  h1: ({ children }) => <h3 className="h1">{children}</h3>,
  h2: ({ children }) => <h4 className="h2">{children}</h4>,
  h3: ({ children }) => <h5 className="h3">{children}</h5>,
  h4: ({ children }) => <h6 className="h4">{children}</h6>,
  h5: ({ children }) => <h6 className="h4">{children}</h6>,
  h6: ({ children }) => <h6 className="h4">{children}</h6>,
};

const options: Options = {
  components,
  remarkPlugins: [remarkGfm, [remarkMath, { singleDollarTextMath: false }]],
  urlTransform: (url) => url, // the components refuse what may not be followed
};

function wordsOf(node: ReactNode): string {
  if (typeof node === 'string' || typeof node === 'number') return String(node);
  if (Array.isArray(node)) return node.map(wordsOf).join('');
  return isValidElement<{ children?: ReactNode }>(node) ? wordsOf(node.props.children) : '';
}

const REMEMBERED = 3000;
const rendered = new Map<string, ReactElement>();

/** A finished block is parsed once, however often a long chat scrolls it in and out of sight. */
function renderBlock(text: string): ReactElement {
  const known = rendered.get(text);
  if (known) return known;
  const plain = plainParagraph(text);
  const element = plain === null ? Renderer({ ...options, children: text }) : <p>{plain}</p>;
  rendered.set(text, element);
  if (rendered.size > REMEMBERED) rendered.delete(rendered.keys().next().value!);
  return element;
}

/** Parses a text before it is shown, so that scrolling to it finds the work done. */
export function prepare(text: string): void {
  for (const block of splitBlocks(normaliseMath(text))) renderBlock(block);
}

const Block = memo(function Block({ text }: { text: string }) {
  return renderBlock(text);
});

const GrowingBlock = memo(function GrowingBlock({ text }: { text: string }) {
  const plain = plainParagraph(text);
  return plain === null ? Renderer({ ...options, children: text }) : <p>{plain}</p>;
});

export const Markdown = memo(function Markdown({ text, growing = false }: { text: string; growing?: boolean }) {
  const blocks = useMemo(() => splitBlocks(normaliseMath(text)), [text]);
  return (
    <div className="markdown">
      {blocks.map((block, index) =>
        growing && index === blocks.length - 1 ? <GrowingBlock key={index} text={block} /> : <Block key={index} text={block} />,
      )}
    </div>
  );
});
