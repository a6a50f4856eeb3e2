/**
 * Splits markdown into blocks that render and cache independently: while an answer streams, only its last block changes.
 * A split happens only at an empty line outside fences, formulas, lists, quotes and HTML, so that blocks keep their meaning.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})(.*)$/;
const LIST = /^ {0,3}([-*+]|\d{1,9}[.)])(\s|$)/;
const CROSS_REFERENCE = /^ {0,3}\[[^\]\n]+\]:/m;

export function splitBlocks(text: string): string[] {
  // Any block may use a definition, so such a text stays in one piece.
  if (CROSS_REFERENCE.test(text)) return [text];
  const blocks: string[] = [];
  let lines: string[] = [];
  let fence: string | null = null;
  let formula = false;
  let list = false;
  let empty = false;

  const cut = () => {
    if (lines.some((line) => line.trim())) blocks.push(lines.join('\n'));
    lines = [];
  };

  for (const line of text.split('\n')) {
    if (fence !== null) {
      lines.push(line);
      const close = FENCE.exec(line);
      if (close && close[1]![0] === fence[0] && close[1]!.length >= fence.length && !close[2]!.trim()) fence = null;
      continue;
    }
    if (formula) {
      lines.push(line);
      if (/(\$\$|\\\])\s*$/.test(line)) formula = false;
      continue;
    }
    if (!line.trim()) {
      empty = true;
      lines.push(line);
      continue;
    }
    if (empty) {
      const belongs = list && (LIST.test(line) || /^( {2,}|\t)/.test(line));
      if (!belongs && !/^( {4}|\t)/.test(line)) {
        cut();
        list = false;
      }
    }
    empty = false;
    if (!lines.some((one) => one.trim())) list = LIST.test(line);
    lines.push(line);
    const open = FENCE.exec(line);
    if (open && !(open[1]!.startsWith('`') && open[2]!.includes('`'))) fence = open[1]!;
    else if (/^\s*(\$\$|\\\[)/.test(line) && !/^\s*(\$\$|\\\[).*(\$\$|\\\])\s*$/.test(line)) formula = true;
  }
  cut();
  return blocks;
}

/**
 * Rewrites the forms of formulas that models use, `\(x\)`, `\[x\]` and `$x$`, into the one form that the parser knows, `$$x$$`. A single
 * dollar opens a formula only by Pandoc's rule (no space inside it, no digit after it), so that prices stay prices.
 */
export function normaliseMath(text: string): string {
  if (!/[$\\]/.test(text)) return text;
  return outsideCode(text, (plain) =>
    plain
      .replace(
        /^([ \t]*)\$\$([^$\n]+)\$\$[ \t]*$/gm,
        (_, indent: string, inner: string) => `${indent}$$\n${indent}${inner.trim()}\n${indent}$$`,
      )
      .replace(/\\\[([\s\S]+?)\\\]/g, (_, inner: string) => `\n$$\n${inner.trim()}\n$$\n`)
      .replace(/\\\((.+?)\\\)/g, (_, inner: string) => `$$${inner}$$`)
      .replace(
        /(^|[^\\$])\$(?=[^\s$])([^$\n]*?[^\s\\$])\$(?![\d$])/g,
        (_, before: string, inner: string) => `${before}$$${inner}$$`,
      ),
  );
}

/** Applies `change` to everything outside fences and code spans. */
function outsideCode(text: string, change: (plain: string) => string): string {
  const code = /(^ {0,3}(?:`{3,}|~{3,})[\s\S]*?(?:^ {0,3}(?:`{3,}|~{3,})[ \t]*$|$(?![\s\S])))|(`+)(?!`)[\s\S]*?[^`]\2(?!`)/gm;
  let result = '';
  let from = 0;
  for (const match of text.matchAll(code)) {
    result += change(text.slice(from, match.index)) + match[0];
    from = match.index + match[0].length;
  }
  return result + change(text.slice(from));
}

const MARKUP = /[\\`*_~[\]<>&|$@#\t\r]|:\/\/|www\.|[ ]$|^[ ]|^(?:[-+=]|\d+[.)](?:\s|$))/im;

/** Returns the text of a block that is a paragraph without markup, as most are. Returns null if the block needs the parser. */
export function plainParagraph(block: string): string | null {
  const text = block.replace(/\n+$/, '');
  return text && !MARKUP.test(text) && !/\n\s*\n|^\n/.test(text) ? text : null;
}
