"""The HTML pages: Jinja2 templates with autoescape, one style and one set of colours for pages and plots.

A page is one self-contained file: inline CSS, pictures and plots as data URIs, no script, and a content policy that
forbids any request.
"""

from __future__ import annotations

import functools
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from stmae.report import wording

COLOURS = {
    "ink": "#1c2430",
    "soft": "#5b6675",
    "line": "#dde2e8",
    "paper": "#ffffff",
    "wash": "#f5f7f9",
    "accent": "#1f5fbf",
    "alarm": "#c8352b",
    "fine": "#2e8b57",
    "span": "#f6d5d0",
}
"""Colours of pages (as CSS variables) and of plots: text, secondary text, rules, background of sections and of the
page, main curve, warning, all is well, labelled abnormal."""


def render(template: str, **context: Any) -> str:
    """Returns the whole HTML document of `templates/<template>`. Text in `context` is escaped by Jinja2."""
    return _environment().get_template(template).render(context)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("stmae.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(colours=COLOURS)
    environment.filters.update(
        duration=wording.duration,
        footage=wording.footage,
        short_period=wording.short_period,
        measured_against=wording.measured_against,
        detector=wording.detector,
    )
    return environment
