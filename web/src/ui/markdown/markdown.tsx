/** Renders markdown as React elements. HTML in the source is shown as text and never becomes markup. */
import { ImageOff } from 'lucide-react';
import { isValidElement, memo, type ReactElement, type ReactNode, useMemo } from 'react';
import Renderer, { type Components, type ExtraProps, type Options } from 'react-markdown';
import { t } from '../../i18n';
import { normaliseMath, plainParagraph, splitBlocks } from './blocks';
import { CodeBlock } from './code';
import { safeAddress, shortAddress } from './links';
import { insertMarks, type Mark, MARK_ELEMENT, marksOfBlocks } from './marks';
import { Formula } from './math';
import { githubSyntax, mathSyntax } from './syntax';

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
  // An embedded image would tell its host who reads what, so images become links.
  img({ src, alt }) {
    const address = safeAddress(typeof src === 'string' ? src : null);
    const label = alt || (address ? shortAddress(address) : t('md.image'));
    if (!address) return <span className="picture">{label}</span>;
    return (
      <a className="picture" href={address} target="_blank" rel="noopener noreferrer nofollow ugc" title={address}>
        <ImageOff size={15} aria-hidden="true" /> {label}
      </a>
    );
  },
  pre({ children }) {
    if (isValidElement<{ className?: string; children?: ReactNode }>(children)) {
      const { className = '', children: inside } = children.props;
      const text = textOf(inside).replace(/\n$/, '');
      if (className.includes('math-display')) return <Formula tex={text} display />;
      return <CodeBlock language={/language-([\w+#.-]+)/.exec(className)?.[1] ?? ''} code={text} />;
    }
    return <pre>{children}</pre>;
  },
  code({ className = '', children }) {
    if (className.includes('math-inline')) return <Formula tex={textOf(children)} />;
    return <code>{children}</code>;
  },
  table({ children }) {
    return (
      <div className="table-box" tabIndex={0} role="group" aria-label={t('md.table')}>
        <table className="table">{children}</table>
      </div>
    );
  },
  input({ checked }) {
    return <input type="checkbox" checked={Boolean(checked)} readOnly disabled aria-label={t(checked ? 'md.done' : 'md.open')} />;
  },
  // Headings of an answer rank below those of the page.
  h1: ({ children }) => <h3 className="h1">{children}</h3>,
  h2: ({ children }) => <h4 className="h2">{children}</h4>,
  h3: ({ children }) => <h5 className="h3">{children}</h5>,
  h4: ({ children }) => <h6 className="h4">{children}</h6>,
  h5: ({ children }) => <h6 className="h4">{children}</h6>,
  h6: ({ children }) => <h6 className="h4">{children}</h6>,
};

const options: Options = {
  components,
  remarkPlugins: [githubSyntax, mathSyntax],
  urlTransform: (url) => url, // the components check addresses
};

function textOf(node: ReactNode): string {
  if (typeof node === 'string' || typeof node === 'number') return String(node);
  if (Array.isArray(node)) return node.map(textOf).join('');
  return isValidElement<{ children?: ReactNode }>(node) ? textOf(node.props.children) : '';
}

const REMEMBERED = 3000;
const rendered = new Map<string, ReactElement>();

/** Parses a complete block once, however often it scrolls in and out of view. */
function renderBlock(text: string): ReactElement {
  const known = rendered.get(text);
  if (known) return known;
  const plain = plainParagraph(text);
  const element = plain === null ? Renderer({ ...options, children: text }) : <p>{plain}</p>;
  rendered.set(text, element);
  if (rendered.size > REMEMBERED) rendered.delete(rendered.keys().next().value!);
  return element;
}

/** Parses a text ahead of time, so that scrolling to it is fast. */
export function preparse(text: string): void {
  for (const block of splitBlocks(normaliseMath(text))) renderBlock(block);
}

const Block = memo(function Block({ text }: { text: string }) {
  return renderBlock(text);
});

const StreamingBlock = memo(function StreamingBlock({ text }: { text: string }) {
  const plain = plainParagraph(text);
  return plain === null ? Renderer({ ...options, children: text }) : <p>{plain}</p>;
});

export type { Mark };
export type RenderMark = (label: string) => ReactNode;

/** A block with marks. It is not kept: what a mark shows belongs to one message. */
const MarkedBlock = memo(function MarkedBlock({ text, marks, renderMark }: { text: string; marks: readonly Mark[]; renderMark: RenderMark }) {
  return useMemo(
    () =>
      Renderer({
        ...options,
        remarkPlugins: [githubSyntax, mathSyntax, [insertMarks, { source: text, marks }]],
        components: {
          ...components,
          [MARK_ELEMENT]: ({ node }: ExtraProps) => renderMark(typeof node?.properties['dataMark'] === 'string' ? node.properties['dataMark'] : ''),
        },
        children: text,
      }),
    [text, marks, renderMark],
  );
});

interface MarkdownProps {
  text: string;
  streaming?: boolean;
  /** Marks behind places of the text. They need `renderMark`. */
  marks?: readonly Mark[];
  renderMark?: RenderMark;
}

export const Markdown = memo(function Markdown({ text, streaming = false, marks, renderMark }: MarkdownProps) {
  const blocks = useMemo(() => splitBlocks(normaliseMath(text)), [text]);
  const marked = useMemo(() => (marks?.length ? marksOfBlocks(text, blocks, marks) : null), [text, blocks, marks]);
  return (
    <div className="markdown">
      {blocks.map((block, index) => {
        if (streaming && index === blocks.length - 1) return <StreamingBlock key={index} text={block} />;
        const here = marked?.[index];
        if (here?.length && renderMark) return <MarkedBlock key={index} text={block} marks={here} renderMark={renderMark} />;
        return <Block key={index} text={block} />;
      })}
    </div>
  );
});
