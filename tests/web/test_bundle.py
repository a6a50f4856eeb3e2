"""The page that is shipped is the one that `web/` says: built from these sources, from this API, and light."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from tests.web.conftest import WEB, require_browser
from yearling.api.web import PAGE_PATHS, STATIC_DIR, load_static_file
from yearling.evals import DRIFT_EXAM, exam_downloads, exam_entries
from yearling.feedback.item_labels import NOTHING_DECIDED, PEOPLE_ARE_DIVIDED
from yearling.models import known_models
from yearling.records import FinishReason, Role
from yearling.store import INCIDENT_EXAM, REMOVED, REPLACED_BY_LATER
from yearling.store.learning.retraction_rules import RETRACTED
from yearling.tasks.item_answers import OFFER_WITHDRAWN
from yearling.training import METHODS

ROOT = WEB.parent


def sources_hash() -> str:
    """As `web/scripts/pack.mjs` computes it."""
    files = [WEB / name for name in ("index.html", "package.json", "package-lock.json", "vite.config.ts", "tsconfig.json")]
    for folder in ("src", "public", "scripts"):
        files += [path for path in (WEB / folder).rglob("*") if path.is_file() and path.name != "schema.d.ts"]
    total = hashlib.sha256()
    for path in sorted(files, key=str):
        total.update(f"{path.relative_to(WEB).as_posix()}\n".encode())
        total.update(f"{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def test_the_bundle_was_built_from_these_sources() -> None:
    assert (STATIC_DIR / "sources.sha256").read_text().strip() == sources_hash(), "run `make web` and commit the result"


def test_what_the_page_asks_for_is_in_the_api() -> None:
    """The compiler holds the page to types made from the API's description; this finds what was renamed since."""
    document = json.loads((ROOT / "docs" / "openapi.json").read_text(encoding="utf-8"))
    sources = "".join(path.read_text(encoding="utf-8") for path in (WEB / "src").rglob("*.ts*") if path.name != "schema.d.ts")
    asked = set(re.findall(r"\bapi\.(\w+)\(\s*'(/v1/[^']+)'", sources))
    assert len(asked) > 40
    assert [one for one in sorted(asked) if one[0] not in document["paths"].get(one[1], {})] == []


def test_every_file_that_the_page_names_is_there_and_none_is_from_elsewhere() -> None:
    page = gzip.decompress((STATIC_DIR / "index.html.gz").read_bytes()).decode()
    named = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(named) >= 4
    assert [name for name in named if not name.startswith("/") or load_static_file(name[1:]) is None] == []
    assert "<style" not in page
    assert re.search(r"<script(?![^>]*\bsrc=)", page) is None


def test_first_load_and_bundle_are_light() -> None:
    page = gzip.decompress((STATIC_DIR / "index.html.gz").read_bytes()).decode()
    first = [STATIC_DIR / f"{name}.gz" for name in re.findall(r'(?:src|href)="/(assets/[^"]+|before\.js)"', page)]
    assert 50_000 < sum(path.stat().st_size for path in first) < 300_000
    assert sum(path.stat().st_size for path in STATIC_DIR.rglob("*") if path.is_file()) < 1_500_000


def test_nothing_bundled_lacks_its_licence() -> None:
    known = gzip.decompress((STATIC_DIR / "licences.txt.gz").read_bytes()).decode()
    third_party = (ROOT / "docs" / "third_party.md").read_text(encoding="utf-8")
    for name in [*json.loads((WEB / "package.json").read_text())["dependencies"], "@mermaid-js/tiny"]:
        assert re.search(rf"^{re.escape(name)} \d", known, re.MULTILINE), f"{name} is not in licences.txt"
        assert f"| `{name}` |" in third_party, f"add {name} to docs/third_party.md"


def test_the_lock_file_names_no_registry() -> None:
    assert "resolved" not in (WEB / "package-lock.json").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("script", ["lint", "check", "test"])
def test_the_sources_pass_the_linter_the_type_checker_and_their_unit_tests(script: str) -> None:
    require_browser()
    for name in ("types", script):  # `types` writes the types of the API, which the other scripts read
        done = subprocess.run(["npm", "run", "--silent", name], cwd=WEB, capture_output=True, text=True, timeout=200)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_paths_do_not_lead_out_of_the_folder() -> None:
    for name in (
        "../web.py",
        "..%2fweb.py",
        "assets/../../web.py",
        "/etc/passwd",
        "sources.sha256",
        "",
        f"assets/{'a' * 5000}.js",
        "\0.js",
    ):
        assert load_static_file(name) is None
    assert load_static_file("index.html") is not None
    assert Path(STATIC_DIR / "index.html.gz").is_file()


def test_every_code_of_an_error_has_words_in_the_page() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "yearling" / "api").rglob("*.py"))
    codes = set(re.findall(r'\bcode(?:: str)?(?: \| None)? ?= ?"([a-z_]+)"', sources))
    codes |= set(re.findall(r'"(?:invalid_request_error|permission_error|server_error)", "([a-z_]+)"', sources))
    codes |= set(re.findall(r'40[45]: \("([a-z_]+)"', sources))
    assert {"not_found", "conflict", "rate_limit_exceeded", "method_not_allowed", "wrong_credentials"} <= codes
    words = (WEB / "src" / "i18n" / "strings-errors.ts").read_text(encoding="utf-8")
    assert sorted(codes - set(re.findall(r"^  ([a-z_]+):", words, re.MULTILINE))) == []


def test_every_reason_of_a_provider_has_words_in_the_page() -> None:
    [path] = (ROOT / "yearling" / "api").rglob("oidc.py")
    source = path.read_text(encoding="utf-8").partition("def _code(")[2]
    reasons = set(re.findall(r'"([a-z_]+)"', source))
    page = (WEB / "src" / "features" / "account" / "sign-in-page.tsx").read_text(encoding="utf-8")
    known = set(re.findall(r"'([a-z_]+)'", page.partition("const PROVIDER_ERRORS = [")[2].partition("]")[0]))
    assert len(known) >= 5
    assert sorted(reasons - known) == []


def test_the_exams_page_says_where_the_data_of_every_exam_comes_from() -> None:
    source = (WEB / "src" / "features" / "learning" / "exam-data.tsx").read_text(encoding="utf-8")
    listed = source.partition("const BUILT_IN")[2].partition("export function")[0]
    pulled = {f"{download.exam}/{file.path}" for download in exam_downloads().values() for file in download.files}
    for entry in exam_entries().values():
        assert f"'{entry.name}'" in listed, f"the exams page does not name the exam {entry.name}"
        for file in entry.required_files:
            assert (f"'{file}'" in listed) != (file in pulled), f"{file} must be named exactly if it is not downloaded"
    downloaded = source.partition("const DOWNLOADED = [")[2].partition("]")[0]
    assert set(re.findall(r"'([\w-]+)'", downloaded)) == set(exam_downloads())


def test_exams_have_titles_in_both_languages() -> None:
    source = (WEB / "src" / "i18n" / "display-names.ts").read_text(encoding="utf-8")
    titles = source.partition("  examTitle: {")[2].partition("\n  },")[0]
    exams = {entry.name for entry in exam_entries().values()} | {DRIFT_EXAM, INCIDENT_EXAM}
    assert sorted(exams - set(re.findall(r"^    '?([\w-]+)'?:", titles, re.MULTILINE))) == []


def test_models_of_the_catalogue_have_a_purpose_in_chinese() -> None:
    source = (WEB / "src" / "i18n" / "model-purposes.ts").read_text(encoding="utf-8")
    chat_models = {entry.name for entry in known_models().values() if entry.kind == "chat"}
    assert sorted(chat_models - set(re.findall(r"^  '([\w.-]+)':", source, re.MULTILINE))) == []


def test_the_addresses_of_the_page_are_those_that_the_server_knows() -> None:
    source = (WEB / "src" / "app.tsx").read_text(encoding="utf-8")
    routes = set(re.findall(r'<Route path="(/[a-z]*)', source))
    served = {re.sub(r"/\{.*", "", path) or "/" for path in PAGE_PATHS}
    assert {route.rstrip("/") or "/" for route in routes} == served


def test_training_methods_and_finish_reasons_have_display_names() -> None:
    source = (WEB / "src" / "i18n" / "display-names.ts").read_text(encoding="utf-8")
    for kind, ids in (("trainingMethod", METHODS), ("finishReason", get_args(FinishReason)), ("messageRole", get_args(Role))):
        names = source.partition(f"  {kind}: {{")[2].partition("\n  },")[0]
        assert sorted(set(ids) - set(re.findall(r"^    (\w+):", names, re.MULTILINE))) == []


def test_every_reason_of_the_consensus_and_of_lessons_has_a_display_name() -> None:
    """The page would show an identifier in place of a reason without a name."""
    writes = r'(?:return |\.drop\(\w+, |DroppedCandidate\(candidate, |drop_reasons\[[\w.\[\]"]+\] = )"([a-z]+(?:_[a-z]+)*)"'
    modules = ("active_judgements", "candidates", "item_answers", "selection")
    sources = [(ROOT / "yearling" / "tasks" / f"{name}.py").read_text(encoding="utf-8") for name in modules]
    labels = {NOTHING_DECIDED, PEOPLE_ARE_DIVIDED}
    reasons = {reason for source in sources for reason in re.findall(writes, source)}
    assert {
        "newer_than_the_consensus_run",
        "raters_do_not_count_yet",
        "edit_found_worse",
        "words_gone",
        "near_duplicate",
    } <= reasons
    reasons |= labels | {OFFER_WITHDRAWN, RETRACTED, REMOVED, REPLACED_BY_LATER}
    source = (WEB / "src" / "i18n" / "display-names.ts").read_text(encoding="utf-8")
    for kind, ids in (("dropReason", reasons), ("pairReason", labels)):
        names = source.partition(f"  {kind}: {{")[2].partition("\n  },")[0]
        assert sorted(ids - set(re.findall(r"^    (\w+):", names, re.MULTILINE))) == []
