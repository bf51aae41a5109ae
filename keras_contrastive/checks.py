"""Checks of arguments that layers and losses share."""


def check_count(name: str, value) -> int:
    """Return `value` if it is a positive integer; raise ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(
            f"`{name}` must be a positive integer. Received: {name}={value!r}"
        )
    return value
