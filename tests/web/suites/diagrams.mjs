// Diagrams: the bundle that is shipped draws every kind exactly as the publisher's does, from which it was made.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const root = (path) => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const publishers = () => readFileSync(root('web/node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js'), 'utf8');
const shipped = () => gunzipSync(readFileSync(root('yearling/api/static/mermaid.tiny.js.gz'))).toString('utf8');

const DIAGRAMS = [
  'flowchart TD\n  A[Start] -->|yes| B{Choice}\n  B --> C((Round))\n  B -.-> D[(Store)]\n  subgraph Inner\n    C --> E>Flag]\n  end\n  classDef hot fill:#f96\n  class A hot',
  'graph LR\n  A@{ shape: cloud, label: "Cloud" } == thick ==> B@{ shape: doc, label: "Paper" }',
  "%%{init: {'look': 'handDrawn', 'handDrawnSeed': 3, 'theme': 'forest'}}%%\nflowchart LR\n  A[Drawn by hand] --> B(Round)",
  '---\nconfig:\n  theme: base\n  themeVariables:\n    primaryColor: "#fa0"\n---\nflowchart LR\n  A[`A **bold** word`] --> B',
  'swimlane-beta\n  subgraph Sales\n    A[Order] --> B[Check]\n  end\n  subgraph Store\n    C[Pack]\n  end\n  B --> C',
  'sequenceDiagram\n  autonumber\n  actor A as Ann\n  participant B\n  A->>+B: Hello\n  loop Every day\n    B-->>-A: Hi\n  end\n  alt fine\n    A->>B: Yes\n  else bad\n    A-xB: No\n  end\n  Note over A,B: A note',
  'classDiagram\n  class Animal {\n    +String name\n    +eat(food) bool\n  }\n  Animal <|-- Dog : is\n  Dog "1" *-- "many" Leg',
  'classDiagram-v2\n  namespace Zoo {\n    class Lion\n  }\n  note for Lion "Roars"',
  'stateDiagram\n  [*] --> Idle\n  Idle --> Busy : work\n  Busy --> [*]',
  'stateDiagram-v2\n  state Fork <<fork>>\n  [*] --> Fork\n  Fork --> A\n  state A {\n    [*] --> Inner\n  }\n  note right of A : Waits',
  'erDiagram\n  PERSON ||--o{ ORDER : places\n  PERSON {\n    string name PK\n    int age\n  }',
  'journey\n  title A day\n  section Work\n    Tea: 5: Me, Cat\n    Mail: 2: Me',
  'gantt\n  title Plan\n  dateFormat YYYY-MM-DD\n  excludes weekends\n  section One\n    Done :done, a, 2024-01-01, 5d\n    Next :crit, b, after a, 3d\n    End :milestone, 2024-01-20, 0d',
  'pie showData title Pets\n  "Dogs" : 3\n  "Cats" : 2.5',
  'quadrantChart\n  title Reach\n  x-axis Low --> High\n  y-axis Bad --> Good\n  quadrant-1 Keep\n  A: [0.3, 0.6]',
  'xychart-beta\n  title "Sales"\n  x-axis [jan, feb, mar]\n  y-axis "Money" 0 --> 10\n  bar [5, 6, 7]\n  line [4, 6, 8]',
  'requirementDiagram\n  requirement speed {\n    id: 1\n    text: fast\n    risk: high\n    verifymethod: test\n  }\n  element car {\n    type: thing\n  }\n  car - satisfies -> speed',
  'gitGraph\n  commit id: "one"\n  branch side\n  commit id: "two" tag: "v1"\n  checkout main\n  merge side id: "three"\n  cherry-pick id: "two"',
  'C4Context\n  title System\n  Person(a, "Ann", "A person")\n  System_Boundary(b, "Inside") {\n    System(s, "Yearling", "Learns")\n  }\n  Rel(a, s, "Asks", "HTTP")',
  'timeline\n  title Years\n  section Early\n    2001 : One : Two\n  section Late\n    2024 : Three',
  'kanban\n  todo[To do]\n    t1[Write]@{ assigned: "Ann", priority: "High" }\n  done[Done]\n    t2[Read]',
  'sankey-beta\n\nSun,Leaf,10\nLeaf,Root,4\nLeaf,Air,6',
  'packet-beta\n  title Header\n  0-15: "Source"\n  16-31: "Target"\n  32-63: "Number"',
  'radar-beta\n  title Skills\n  axis a["Speed"], b["Wit"], c["Care"]\n  curve x["Ann"]{3, 4, 5}\n  curve y["Ben"]{5, 2, 3}\n  max 5',
  'block-beta\n  columns 3\n  a["One"] b:2\n  space c{{"Six"}} d\n  a --> d',
  'treemap-beta\n  "All"\n    "Left": 10\n    "Right"\n      "Inner": 5',
  'treeView-beta\n  "root"\n    "folder"\n      "file"',
  'eventmodeling\n\ntf 01 ui CartUI\ntf 02 cmd AddItem\ntf 03 evt ItemAdded',
  'ishikawa-beta\n  Late\n    People\n      Tired\n    Tools\n      Old',
  'venn-beta\n  title Both\n  set A["Cats"]\n  set B["Dogs"]\n  union A,B["Pets"]',
  'wardley-beta\n  title Tea\n  anchor Public [0.95, 0.63]\n  component Cup [0.79, 0.61]\n  Public -> Cup',
  'cynefin-beta\n  title Where\n  complex\n    "Learning"\n  clear\n    "Counting"',
  'railroad-beta\n  title Digits\n  digit = choice(terminal("0"), terminal("1"));',
  'railroad-ebnf-beta\n  digit = "0" | "1" ;\n  number = digit , { digit } ;',
  'railroad-abnf-beta\n  digit = "0" / "1" ;\n  number = 1*digit ;',
  'railroad-peg-beta\n  Number <- Digit+ ;\n  Digit <- "0" / "1" ;',
  'info',
  // The drawers of earlier versions, which a diagram can ask for.
  "%%{init: {'flowchart': {'defaultRenderer': 'dagre-d3'}}}%%\ngraph LR\n  A --> B",
  "%%{init: {'class': {'defaultRenderer': 'dagre-d3'}}}%%\nclassDiagram\n  A <|-- B",
];

/** Draws all diagrams in a page of its own, with chance and time that are the same each time. */
async function drawAll(tools, code) {
  const { page } = await tools.another();
  await page.goto('about:blank');
  await page.evaluate(() => {
    let state = 7;
    Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;
    Date.now = () => 1_700_000_000_000;
    crypto.randomUUID = () => `${Math.random()}`;
  });
  await page.addScriptTag({ content: code });
  return page.evaluate(async (sources) => {
    const config = { startOnLoad: false, securityLevel: 'strict', htmlLabels: false, suppressErrorRendering: true, theme: 'neutral' };
    mermaid.initialize(config);
    const drawn = [];
    for (const [index, source] of sources.entries()) {
      try {
        const { svg, diagramType } = await mermaid.render(`drawing${index}`, source);
        drawn.push({ kind: diagramType, svg });
      } catch (error) {
        drawn.push({ kind: '', svg: '', error: String(error?.message ?? error) });
      }
    }
    return { drawn, kinds: mermaid.getRegisteredDiagramsMetadata().map(({ id }) => id) };
  }, DIAGRAMS);
}

/** What is shown for an error and for a front matter without an end; an earlier drawer of states that fails in both bundles. */
const NO_DIAGRAMS = ['error', '---', 'state'];

async function sameDrawings(tools, check) {
  const before = await drawAll(tools, publishers());
  const after = await drawAll(tools, shipped());
  for (const [index, { kind, svg, error }] of before.drawn.entries()) {
    check(!error && svg.length > 300, `the publisher's bundle does not draw ${DIAGRAMS[index]}: ${error}`);
    const now = after.drawn[index];
    check(now.svg === svg, `${kind} is drawn in another way: ${now.error ?? now.svg.slice(0, 2000)}`);
  }
  const drawn = new Set(before.drawn.map(({ kind }) => kind));
  const left = before.kinds.filter((kind) => !drawn.has(kind) && !NO_DIAGRAMS.includes(kind));
  check(!left.length, `no example draws these kinds: ${left.join(', ')}`);
  check(after.kinds.join() === before.kinds.join(), `the shipped bundle knows other kinds: ${after.kinds.join()}`);
  return { kinds: before.kinds.length, drawn: [...drawn] };
}

async function sameErrors(tools, check) {
  const { page } = await tools.another();
  await page.goto('about:blank');
  await page.addScriptTag({ content: shipped() });
  for (const source of ['flowchart LR\n  A -->', 'pie\n  "a" : x', 'gitGraph\n  commit id:', 'nothing\n  known']) {
    const message = await page.evaluate((text) => mermaid.parse(text).then(() => '', (error) => error.message), source);
    check(/error|expect|No diagram type/i.test(message), `${source}: ${message}`);
  }
}

export const tests = {
  same_drawings: sameDrawings,
  same_errors: sameErrors,
};
