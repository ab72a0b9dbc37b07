"""Pages that stand alone: one file each, in one style, without anything from elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2

HERE = Path(__file__).parent


def render(template: Path, filters: dict[str, Callable[..., Any]], **values: Any) -> str:
    """The page that `template` makes of `values`; it may include webpage.css, the common style."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader([template.parent, HERE], encoding="utf-8"),
    )
    environment.filters |= filters
    return environment.get_template(template.name).render(**values)
