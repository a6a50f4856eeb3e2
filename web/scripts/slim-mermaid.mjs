// Makes the mermaid bundle smaller without losing a diagram. Its publisher bundles it so that every function keeps its name for
// stack traces, and with a language server, which only an editor asks for. This takes out
//
//   1. calls such as `name(draw, "draw")`, which only set the name that a stack trace shows;
//   2. the language server of the parsers;
//   3. lists of exports that nobody imports from;
//
// and the minifier then drops all that is read nowhere else. A bundle of another shape is an error and is never left as it is.
// `tests/web/suites/diagrams.mjs` compares a diagram of each kind, drawn by this bundle, with what the publisher's draws.
import { minifySync, parseSync, Visitor } from 'vite';

// As esbuild writes them: `name = (e, t) => define(e, "name", { value: t, configurable: true })`.
const NAME_SETTER = /([\w$]+)=(?:[\w$]*\()?\((\w+),(\w+)\)=>[\w$]+\(\2,"name",\{value:\3,configurable:!0\}\)/g;
// `exports = (e, t) => { for (var r in t) define(e, r, { get: t[r], enumerable: true }) }`.
const EXPORTER = /([\w$]+)=(?:[\w$]*\()?\((\w+),(\w+)\)=>\{for\(var (\w+) in \3\)[\w$]+\(\2,\4,\{get:\3\[\4\],enumerable:!0\}\)\}/g;
// `reexports = (e, t, r) => (copy(e, t, "default"), r && copy(r, t, "default"))`.
const REEXPORTER = /([\w$]+)=(?:[\w$]*\()?\((\w+),(\w+),(\w+)\)=>\(([\w$]+)\(\2,\3,["`]default["`]\),\4&&\5\(\4,\3,["`]default["`]\)\)/g;
// A module of CommonJS, which runs when somebody requires it: `name = wrap({ "…/node_modules/…"(exports) { … } })`.
const WRAPPED_MODULE = /([\w$]+)=([\w$]+\(\{"[^"]*node_modules\/([^"]*)"\()/g;
const LANGUAGE_SERVER = /vscode-languageserver-protocol\/lib\/browser\/main\.js$/;

export function slimMermaid(source) {
  const small = minify(withoutLanguageServer(withoutNames(source)), { mangle: false });
  return minify(withoutUnusedExports(small), { mangle: true });
}

function withoutNames(source) {
  const setters = namesOf(source, NAME_SETTER);
  const edits = [];
  const isSetter = (node) => node.type === 'CallExpression' && node.callee.type === 'Identifier' && setters.has(node.callee.name);
  new Visitor({
    StaticBlock(node) {
      const [first] = node.body;
      if (node.body.length === 1 && first.type === 'ExpressionStatement' && isSetter(first.expression)) edits.push([node.start, node.end, '']);
    },
    CallExpression(node) {
      const [named, name] = node.arguments;
      if (!isSetter(node) || name?.type !== 'Literal') return;
      if (named.type === 'Identifier') edits.push([node.start, node.end, '0']);
      else if (named.type !== 'ThisExpression') edits.push([node.start, named.start, '('], [named.end, node.end, ')']);
    },
  }).visit(parse(source));
  return edit(source, edits);
}

function withoutLanguageServer(source) {
  const [, server] = [...source.matchAll(WRAPPED_MODULE)].find(([, , , path]) => LANGUAGE_SERVER.test(path)) ?? [];
  const requires = server ? [...source.matchAll(/[\w$]+\(([\w$]+)\(\),1\)/g)].filter(([, name]) => name === server) : [];
  if (requires.length !== 1) throw new Error('mermaid is bundled in another way now: its language server is required elsewhere');
  const [{ 0: text, index }] = requires;
  const without = edit(source, [[index, index + text.length, '{}']]);
  return without.replaceAll(WRAPPED_MODULE, '$1=/* @__PURE__ */$2'); // the minifier drops what nothing requires
}

/** `exports(all, { … })` and `reexports(all, other)` go if nothing else reads `all`. Repeats, since `other` may be next. */
function withoutUnusedExports(source) {
  const fillers = new Set([...namesOf(source, EXPORTER), ...namesOf(source, REEXPORTER)]);
  const reads = new Map();
  const count = (node, change) => node.type === 'Identifier' && reads.set(node.name, (reads.get(node.name) ?? 0) + change);
  const fills = [];
  new Visitor({
    Identifier: (node) => count(node, 1),
    VariableDeclarator: ({ id }) => count(id, -1),
    AssignmentExpression: ({ left }) => count(left, -1),
    CallExpression(node) {
      const [all] = node.arguments;
      if (node.callee.type !== 'Identifier' || !fillers.has(node.callee.name) || all?.type !== 'Identifier') return;
      count(all, -1);
      fills.push(node);
    },
  }).visit(parse(source));
  const unused = fills.filter(({ arguments: [all] }) => reads.get(all.name) === 0);
  if (!unused.length) return source;
  return withoutUnusedExports(edit(source, unused.map(({ start, end }) => [start, end, '0'])));
}

function namesOf(source, pattern) {
  const names = new Set([...source.matchAll(pattern)].map(([, name]) => name));
  if (!names.size) throw new Error('mermaid is bundled in another way now: see web/scripts/slim-mermaid.mjs');
  return names;
}

function parse(source) {
  const { program, errors } = parseSync('mermaid.js', source);
  if (errors.length) throw new Error(`mermaid cannot be parsed: ${errors[0].message}`);
  return program;
}

/** Applies `[start, end, replacement]`s that do not overlap. */
function edit(source, edits) {
  const parts = [];
  let at = 0;
  for (const [start, end, text] of edits.toSorted((a, b) => a[0] - b[0])) {
    parts.push(source.slice(at, start), text);
    at = end;
  }
  return parts.join('') + source.slice(at);
}

function minify(source, { mangle }) {
  const { code, errors } = minifySync('mermaid.js', source, { compress: { target: 'es2022' }, mangle });
  if (errors.length) throw new Error(`mermaid cannot be minified: ${errors[0].message}`);
  return code;
}
