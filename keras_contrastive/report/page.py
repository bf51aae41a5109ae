"""Sections to HTML, by the templates beside this file."""

import importlib.util

from keras_contrastive.report.thumbnails import COLUMNS

_NEEDED = {"jinja2": "Jinja2", "matplotlib": "matplotlib", "sklearn": "scikit-learn"}


def check_installed():
    """Raise ImportError, with the command that helps, if a package is missing."""
    missing = [
        name
        for module, name in _NEEDED.items()
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        raise ImportError(
            f"A report needs {' and '.join(missing)}, which is not installed. "
            'Run: pip install "keras-contrastive[plots]"'
        )


def render(title: str, sections: list, sheet, map_sheet) -> str:
    """Return the page.

    Args:
        title: Its heading.
        sections: What it shows, in order.
        sheet: `Sheet` of the pictures in all sections but the map.
        map_sheet: `Sheet` of the map.

    Returns:
        HTML that needs no other file. What comes from users is escaped.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("keras_contrastive.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    return environment.get_template("page.html").render(
        title=title,
        sections=sections,
        by_id={section.id: section for section in sections},
        sheet=sheet,
        map_sheet=map_sheet,
        columns=COLUMNS,
    )
