/**
 * Puts marks, such as the numbers of citations, behind places of a text, whatever markdown stands around them. A mark becomes an element
 * of the parsed text, never a part of the source.
 */
import type { Processor } from 'unified';
import { normaliseMath } from './blocks';

export interface Mark {
  /** The place that the mark stands behind, in UTF-16 units of the source. */
  offset: number;
  /** What the mark stands for. */
  label: string;
}

/** The element that a mark becomes. Markdown itself produces none with this name. */
export const MARK_ELEMENT = 'cite';

/** Shares marks out among the blocks of a text: `offset` then counts from the beginning of the block. */
export function marksOfBlocks(text: string, blocks: readonly string[], marks: readonly Mark[]): Mark[][] {
  const shared: Mark[][] = blocks.map(() => []);
  const source = normaliseMath(text);
  let from = 0;
  const starts = blocks.map((block) => {
    const start = source.indexOf(block, from);
    from = start + block.length;
    return start;
  });
  for (const { offset, label } of marks) {
    // Formulas before the place may have changed their length.
    const at = source === text ? offset : normaliseMath(text.slice(0, offset)).length;
    const index = Math.max(0, starts.findLastIndex((start) => start < at));
    shared[index]?.push({ offset: Math.min(Math.max(0, at - starts[index]!), blocks[index]!.length), label });
  }
  return shared;
}

/** As much of a node of the parsed text as placing a mark needs. */
interface Node {
  type: string;
  value?: string;
  children?: Node[];
  position?: { start: { offset?: number }; end: { offset?: number } };
  data?: { hName: string; hProperties: Record<string, string> };
}

/** Nodes without words of their own, in which a mark would be out of place: it follows them. */
const CLOSED = new Set(['link', 'linkReference', 'image', 'imageReference', 'footnoteReference', 'inlineCode', 'inlineMath', 'break']);

/** A plugin of the parser that adds the marks of a block, whose source is `source`. */
export function insertMarks(this: Processor, { source, marks }: { source: string; marks: readonly Mark[] }): (tree: unknown) => void {
  return (tree) => {
    for (const mark of marks) insert(tree as Node, source, mark.offset, mark.label);
  };
}

const startOf = (node: Node) => node.position?.start.offset;
const endOf = (node: Node) => node.position?.end.offset;

function insert(parent: Node, source: string, offset: number, label: string): void {
  const children = (parent.children ??= []);
  // The last node that begins before the place. Marks have no position of their own.
  const index = children.findLastIndex((node) => (startOf(node) ?? Infinity) < offset);
  const node = children[index];
  const inline = !isBlockParent(parent);
  if (!node) {
    children.push(inline ? markOf(label) : paragraphOf(label));
    return;
  }
  const within = Math.min(offset, endOf(node) ?? offset);
  if (node.type === 'text') splitText(children, index, source, within, label);
  else if (node.children && !CLOSED.has(node.type)) insert(node, source, within, label);
  else children.splice(afterMarks(children, index), 0, inline ? markOf(label) : paragraphOf(label));
}

const isBlockParent = ({ type }: Node) => ['root', 'blockquote', 'listItem', 'list', 'footnoteDefinition'].includes(type);

function splitText(children: Node[], index: number, source: string, offset: number, label: string): void {
  const { value = '', ...node } = children[index]!;
  const [start, end] = [startOf(node)!, endOf(node)!];
  const at = offset >= end ? value.length : lettersBefore(source.slice(start, offset), value);
  if (at >= value.length) {
    children.splice(afterMarks(children, index), 0, markOf(label));
    return;
  }
  const piece = (text: string, from: number, to: number): Node => ({
    type: 'text',
    value: text,
    position: { start: { offset: from }, end: { offset: to } },
  });
  children.splice(index, 1, piece(value.slice(0, at), start, offset), markOf(label), piece(value.slice(at), offset, end));
}

/** How much of `value` a part of its source gives. The source also has escapes, and signs of quotes at the beginnings of lines. */
function lettersBefore(source: string, value: string): number {
  let at = 0;
  for (let index = 0; index < source.length; index += 1) {
    if (source[index] !== value[at]) continue;
    at += 1;
    if (source[index] === '&') index += /^(?:#\w+|\w+);/.exec(source.slice(index + 1))?.[0].length ?? 0;
  }
  return at;
}

/** Marks at the same place stand in the order in which they came. */
function afterMarks(children: readonly Node[], index: number): number {
  let at = index + 1;
  while (children[at]?.data?.hName === MARK_ELEMENT) at += 1;
  return at;
}

const markOf = (label: string): Node => ({ type: 'mark', data: { hName: MARK_ELEMENT, hProperties: { dataMark: label } } });
const paragraphOf = (label: string): Node => ({ type: 'paragraph', children: [markOf(label)] });
