"""A hostile chat template costs one error: the child process that runs it has limits on memory, CPU time and depth."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yearling.errors import BadInput
from yearling.models import ChatTemplate
from yearling.models.templates import TemplateError, compile_template, process, render_template

USER = [{"role": "user", "content": "hello"}]
DOUBLING = "{% set ns = namespace(x=['ab']) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}"


@pytest.fixture
def short_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limits of a second, and a child process of this test's own."""
    monkeypatch.setattr(process, "CPU_LIMIT_S", 1.0)
    monkeypatch.setattr(process, "MEMORY_LIMIT_BYTES", 512 << 20)
    process._worker.stop()
    yield
    process._worker.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        "{{ [1]|slice(10**9)|list }}",
        "{{ [1]|batch(10**9, 0)|list }}",
        DOUBLING + "{{ ns.x }}",
        DOUBLING + "{{ ns.x | tojson }}",
        DOUBLING + "{{ ns.x | string | length }}",
        DOUBLING + "{% set a = ns.x %}" + DOUBLING + "{{ a == ns.x }}",
        "{% set a = namespace(x=1) %}"
        + "".join(f"{{% set a{i + 1} = namespace(l=a{i or ''}, r=a{i or ''}) %}}" for i in range(40))
        + "{{ a40 }}",
        "{% set x = [] %}{% for i in range(99999) %}{% for j in range(99999) %}{% set _ = x.append(j) %}{% endfor %}{% endfor %}",
        "{% set x = ['a' * 1000000] %}{% for i in range(9999) %}{% set _ = x.append(x[0] ~ i) %}{% endfor %}",
        "{{ (messages * 30000000) | map('string') | list | length }}",
    ],
    ids=["slice", "batch", "print", "tojson", "string", "compare", "namespaces", "append", "kept text", "filters"],
)
def test_a_hostile_template_ends_with_an_error_and_the_next_one_works(short_limits: None, source: str) -> None:
    before = psutil.Process().memory_info().rss
    started = time.monotonic()
    with pytest.raises(BadInput):
        ChatTemplate(source).render(USER)
    assert time.monotonic() - started < process.WALL_LIMIT_S
    assert psutil.Process().memory_info().rss - before < 100 << 20, "the text of a template stays in the child"
    assert ChatTemplate("{{ messages[0].content }}").render(USER) == "hello"


@pytest.mark.parametrize(
    "source",
    [
        "{% if 1 %}" * 3_000 + "{% endif %}" * 3_000,
        "{{ " + "(" * 3_000 + "1" + ")" * 3_000 + " }}",
        "{{ " + "[" * 3_000 + "]" * 3_000 + " }}",
        "{{ " + "not " * 30_000 + "1 }}",
        "{% for i in [1] %}" * 300 + "{% endfor %}" * 300,
        "{{ 1" + " + 1" * 30_000 + " }}",
    ],
    ids=["blocks", "parentheses", "lists", "not", "loops", "sum"],
)
def test_a_deeply_nested_template_is_refused_when_it_is_loaded(source: str) -> None:
    with pytest.raises(BadInput, match=r"nested too deeply|cannot be compiled|not valid Jinja"):
        ChatTemplate(source)
    assert compile_template("{{ messages }}")[0] == {"messages"}


def test_a_long_template_is_refused_before_it_is_read() -> None:
    with pytest.raises(TemplateError, match="characters"):
        compile_template("x" * (process.MAX_SOURCE_CHARS + 1))


@pytest.mark.slow
def test_a_template_that_takes_too_long_is_ended(short_limits: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert render_template("warm", {}) == "warm"
    monkeypatch.setattr(process, "WALL_LIMIT_S", 0.05)
    with pytest.raises(TemplateError, match="took longer"):
        render_template("{% for i in range(99999) %}{{ i }}{% endfor %}", {})
    monkeypatch.undo()
    assert render_template("again", {}) == "again"


def test_a_child_that_died_is_replaced() -> None:
    assert render_template("one", {}) == "one"
    child = process._worker._process
    assert child is not None
    child.kill()
    child.wait()
    assert render_template("two", {}) == "two"


def test_requests_of_several_threads_do_not_mix() -> None:
    results: dict[int, str] = {}

    def work(number: int) -> None:
        results[number] = "".join(render_template("{{ n }}", {"n": number}) for _ in range(20))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {number: str(number) * 20 for number in range(4)}


def test_the_child_has_no_secrets_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLING_API_KEYS", "secret")
    process._worker.stop()
    render_template("x", {})
    child = process._worker._process
    assert child is not None
    environment = psutil.Process(child.pid).environ()
    assert not [name for name in environment if name.startswith("YEARLING")]
    assert child.pid != os.getpid()


def test_halves_of_characters_and_marks_pass_through() -> None:
    text = "\ud83d \U0001f600 \x00 \u2028"
    assert render_template("{{ text }}", {"text": text}) == text


def test_a_template_may_build_lists() -> None:
    source = "{% set x = [] %}{% for m in messages %}{% set _ = x.append(m.content) %}{% endfor %}{{ x | join(',') }}"
    assert ChatTemplate(source).render([*USER, *USER]) == "hello,hello"


_FRAGMENTS = [
    *("{{ messages }}", "{{ messages[0].content }}", "{% for m in messages %}", "{% endfor %}", "{% if m %}", "{% endif %}"),
    *(
        "{% set ns = namespace(x=messages) %}",
        "{% set ns.x = [ns.x, ns.x] %}",
        "{{ ns.x }}",
        "{% macro f(n) %}",
        "{% endmacro %}",
    ),
    *("{{ f(9) }}", "{% set x = 'a' * 99999 %}", "{{ x ~ x }}", "{{ x | ", "tojson", "list", "batch(99999)", "slice(99999)"),
    *("replace('a', x)", "string", "sort", "unique", "groupby('role')", "map('upper')", "sum(start=[])", "indent(99999)"),
    *(
        "join(x)",
        "wordwrap(1)",
        "urlize",
        "pprint",
        "random",
        "format(x)",
        "int",
        "truncate(9)",
        " }}",
        "{% raw %}",
        "{% endraw %}",
    ),
    *("{# ", " #}", "(", ")", "[", "]", "{% generation %}", "{% endgeneration %}", "{% break %}", "{% filter upper %}"),
    *("{% endfilter %}", "{% set _ = messages.append(messages) %}", "{% call f(1) %}", "{% endcall %}", "{{ messages == ns.x }}"),
    *("{{ raise_exception(x) }}", "{{ strftime_now('%Y' * 999) }}", "{% else %}", "-", "%}", "text"),
]
random_templates = st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=6), max_size=24).map("".join)


def length_of_result(source: str) -> int:
    """Length of the text that a template gives, or of the error that refuses it."""
    try:
        return len(ChatTemplate(source).render(USER))
    except BadInput as error:
        return len(error.message)


@settings(max_examples=40)
@given(random_templates)
def test_random_templates_give_a_text_or_an_error(source: str) -> None:
    assert length_of_result(source) <= 64_000_000


@pytest.mark.drill
@pytest.mark.timeout(3600)
@settings(max_examples=20_000, suppress_health_check=list(HealthCheck))
@given(random_templates)
def test_no_template_harms_this_process(source: str) -> None:
    """The same for about ten minutes."""
    before = psutil.Process().memory_info().rss
    length = length_of_result(source)
    assert psutil.Process().memory_info().rss - before <= 50_000_000 + 16 * length
