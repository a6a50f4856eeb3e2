"""The reader of TypeScript imports finds planted cycles, and finds none in the web client."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web_imports import import_cycles, import_graph

SOURCES = Path(__file__).parents[1] / "web" / "src"


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def test_the_web_client_has_no_import_cycle() -> None:
    graph = import_graph(SOURCES)
    assert len(graph) > 50
    assert sum(len(targets) for targets in graph.values()) > 200
    assert import_cycles(SOURCES) == []


@pytest.mark.parametrize(
    "back",
    [
        "import { a } from '../a';",
        'import type { A } from "../a";',
        "import {\n  a,\n  type A,\n} from '../a';",
        "export * from '../a';",
        "export { a } from '../a';",
        "import '../a';",
        "const load = () => import('../a');",
        "type Loaded = typeof import('../a').default;",
    ],
)
def test_a_planted_cycle_is_found(tmp_path: Path, back: str) -> None:
    _write(tmp_path, {"a.tsx": "import { b } from './folder';\n", "folder/index.ts": f"export const b = 1;\n{back}\n"})
    assert import_cycles(tmp_path) == [["a.tsx", "folder/index.ts", "a.tsx"]]


def test_a_long_cycle_and_a_module_that_imports_itself_are_found(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "a.ts": "import { b } from './b';\nimport { leaf } from './leaf';\n",
            "b.ts": "import { c } from './c';\n",
            "c.ts": "import { a } from './a';\n",
            "leaf.ts": "export const leaf = 1;\n",
            "own.ts": "import { own } from './own';\n",
        },
    )
    assert import_cycles(tmp_path) == [["a.ts", "b.ts", "c.ts", "a.ts"], ["own.ts", "own.ts"]]


def test_packages_styles_comments_and_missing_files_are_no_imports(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "a.ts": "import { b } from './b';\nimport 'react';\nimport './a.css';\nimport type { S } from './schema';\n",
            "b.ts": "// import { a } from './a';\nexport const text = 'a';\n",
        },
    )
    assert import_graph(tmp_path) == {"a.ts": ["b.ts"], "b.ts": []}
    assert import_cycles(tmp_path) == []
