"""Checks of arguments that layers, losses and optimizers share."""

from numbers import Real


def check_count(name: str, value) -> int:
    """Return `value` if it is a positive integer; raise ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    return value


def check_choice(name: str, value, choices: tuple[str, str]) -> str:
    """Return `value` if it is one of two words; raise ValueError otherwise."""
    if value not in choices:
        words = " or ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"`{name}` must be {words}. Received: {name}={value!r}")
    return value


def check_share(name: str, value) -> float:
    """Return `value` if it is a number in [0, 1]; raise ValueError otherwise."""
    if not (isinstance(value, Real) and 0 <= float(value) <= 1):
        raise ValueError(f"`{name}` must be in [0, 1]. Received: {name}={value!r}")
    return float(value)


def check_not_negative(name: str, value):
    """Return `value` if it is a number >= 0; raise ValueError otherwise."""
    if not (isinstance(value, Real) and float(value) >= 0):
        raise ValueError(f"`{name}` must be a number >= 0. Received: {name}={value}")
    return value
