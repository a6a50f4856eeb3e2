"""Chat templates as untrusted programs: compiled and rendered in a child process with limits."""

from yearling.models.templates.process import (
    TemplateError,
    TemplateRefusal,
    TemplateSyntaxError,
    compile_template,
    render_template,
)

__all__ = ["TemplateError", "TemplateRefusal", "TemplateSyntaxError", "compile_template", "render_template"]
