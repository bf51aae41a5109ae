"""Cases of which some run with `-m slow` alone."""

import pytest


def by_name(names, slow):
    """Mark a test to run for each name; those for which `slow(name)` are slow."""
    cases = [pytest.param(x, marks=[pytest.mark.slow] * bool(slow(x))) for x in names]
    return pytest.mark.parametrize("name", cases)
