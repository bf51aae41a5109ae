"""README's table of presets, between two markers."""

BEGIN = "<!-- presets: written by `python -m keras_contrastive.zoo table` -->"
END = "<!-- end of presets -->"


def with_table(text: str, table: str) -> str:
    """Return a README with the table of presets between its markers.

    Args:
        text: The README; what stands between the markers is replaced.
        table: Markdown.

    Returns:
        The new text.

    Raises:
        ValueError: It has not one pair of markers.

    Example:
    >>> with_table(f"{BEGIN}\\nold\\n{END}", "new").splitlines()[1:-1]
    ['', 'new', '']
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after:
        raise ValueError(
            f"The README must have the lines {BEGIN!r} and {END!r} once, for the table "
            "to stand between them. Received: a text without this pair."
        )
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"
