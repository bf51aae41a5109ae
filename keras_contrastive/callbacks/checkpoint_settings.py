"""What a checkpoint remembers of the model and its training, to be compared."""

import json

import keras

# Names that Keras numbers, where a tensor comes from, precision and random seeds: they
# make no other model. A schedule's run is bound anew by every `fit`.
_LEFT_OUT = {
    *("name", "registered_name", "module", "shared_object_id", "build_config"),
    *("keras_history", "input_layers", "output_layers", "inbound_nodes"),
    *("dtype", "seed", "run", "bound_by_fit", "compile_config", "step"),
    "loss_scale_factor",
}
_SHOWN = 5


def settings_of(model) -> dict:
    """Return the settings of a compiled `ContrastiveModel`, flat.

    Returns:
        `{"model": ..., "training": ...}`: for each setting, by its path, a JSON value.
        What decides what is learned is in `model`; optimizer and momentum, which may
        change on the way, are in `training`. None where something cannot say its
        configuration.
    """
    serialize = keras.saving.serialize_keras_object
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    return {
        "model": _flat(lambda: {**model.get_config(), "loss": serialize(model.loss)}),
        "training": _flat(
            lambda: {
                "optimizer": serialize(optimizer),
                "momentum_update": serialize(model.momentum_update),
            }
        ),
    }


def differences(before: dict | None, now: dict | None) -> list[str]:
    """Return the first settings that differ, as "path: old -> new"."""
    if not before or not now:
        return []
    paths = [p for p in dict.fromkeys([*before, *now]) if before.get(p) != now.get(p)]
    shown = [f"{p}: {before.get(p)} -> {now.get(p)}" for p in paths[:_SHOWN]]
    more = len(paths) - _SHOWN
    return [*shown, f"and {more} more"] if more > 0 else shown


def _flat(config) -> dict | None:
    try:
        config = json.loads(json.dumps(config(), default=str))
    except (NotImplementedError, TypeError, ValueError, AttributeError):
        return None  # a layer of the user's own without `get_config`
    flat = {}

    def visit(path, value):
        if isinstance(value, dict):
            for key, child in value.items():
                if key not in _LEFT_OUT:
                    # {"class_name": ..., "config": ...} is how Keras writes an object.
                    visit(path if key == "config" else (*path, key), child)
        elif isinstance(value, list):
            for number, child in enumerate(value):
                visit((*path, str(number)), child)
        else:
            flat[".".join(path)] = value

    visit((), config)
    return flat
