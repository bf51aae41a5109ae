"""Weights that are not finite: found before they are saved or trained on."""

import keras
from keras import ops


def not_finite(variables) -> list[str]:
    """Return the paths of those variables that hold NaN or infinity.

    Args:
        variables: Keras variables; integers and booleans are always finite.
    """
    floats = [v for v in variables if keras.backend.is_float_dtype(v.dtype)]
    if not floats:
        return []
    # One answer of the device for all of them, and one transfer.
    finite = ops.stack([ops.all(ops.isfinite(v)) for v in floats])
    finite = ops.convert_to_numpy(finite)
    return [v.path for v, good in zip(floats, finite, strict=True) if not good]


def check_finite(model: keras.Model) -> None:
    """Raise a ValueError if a weight of `model` is NaN or infinite."""
    bad = not_finite(model.weights)
    if bad:
        raise ValueError(
            f"Expected a model with finite weights. Received: {model.name!r}, with NaN "
            f"or infinity in {named(bad)}. Its training has diverged: take weights of "
            "an earlier epoch."
        )


def named(paths: list[str]) -> str:
    """Return the first of these paths, and how many more there are."""
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0]!r}{more}"
