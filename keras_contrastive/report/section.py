"""A part of a report."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Section:
    """One part of a report: what its template shows.

    Args:
        id: Names the template, `sections/<id>.html`, and the link to it.
        title: The heading.
        data: What the template takes.
        protocol: How the numbers came about, in sentences.
    """

    id: str
    title: str
    data: dict
    protocol: str = ""
