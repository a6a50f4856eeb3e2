"""Minimal chat templates, one for each habit of published ones, written for these tests."""

from __future__ import annotations

ALTERNATES = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}"
    "{% endif %}{% endfor %}"
)
_TURNS = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)

NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + ALTERNATES + _TURNS
)
STRICT_ALTERNATION = (
    "{% if messages[0].role == 'system' %}[system]{{ messages[0].content }}[end]{% set messages = messages[1:] %}{% endif %}"
    + ALTERNATES
    + _TURNS
)
DROPS_LATER_SYSTEM = (
    "{% for m in messages %}{% if m.role != 'system' or loop.first %}[{{ m.role }}]{{ m.content }}[end]{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
REFUSES_DEVELOPER = (
    "{% for m in messages %}{% if m.role not in ('system', 'user', 'assistant', 'tool') %}{{ raise_exception('no such role') }}"
    "{% endif %}{% endfor %}" + _TURNS
)
OPENS_THINKING = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content.split('</think>')[-1] }}[end]{% endfor %}"
    "{% if add_generation_prompt %}[assistant]<think>\n{% endif %}"
)
CLOSES_THINKING = (
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% if enable_thinking is defined and enable_thinking is false %}"
    "<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
_TOOLS = "{% if tools %}{{ tools | tojson }}{% endif %}"
XML_CALLS = (
    _TOOLS + "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}<tool_call>\n"
    "<function={{ c.function.name }}>\n{% for k, v in c.function.arguments.items() %}<parameter={{ k }}>\n{{ v }}\n</parameter>\n"
    "{% endfor %}</function>\n</tool_call>{% endfor %}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
NAMED_CALLS = (
    _TOOLS
    + "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}[TOOL_CALLS]{{ c.function.name }}[ARGS]"
    "{{ c.function.arguments | tojson }}{% endfor %}[end]{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
MENTIONS_HERMES = (
    _TOOLS + "{# writes <tool_call> only in what it says about tools #}{% if tools %}Never write <tool_call>.{% endif %}"
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}[call]{{ c.function.name }}{% endfor %}[end]"
    "{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
)
ONE_RESULT = (
    _TOOLS + "{% for m in messages %}{% if m.role == 'tool' and messages[loop.index0 - 1].role == 'tool' %}"
    "{{ raise_exception('one result at a time') }}{% endif %}[{{ m.role }}]{{ m.content }}{% for c in m.tool_calls %}<tool_call>"
    '{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</tool_call>{% endfor %}[end]{% endfor %}'
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
FAILS_WITHOUT_TOOLS = "{% for t in tools %}{{ t | tojson }}{% endfor %}" + _TURNS
DROPS_ANSWERS = "{% for m in messages if m.role != 'assistant' %}[{{ m.role }}]{{ m.content }}[end]{% endfor %}"
