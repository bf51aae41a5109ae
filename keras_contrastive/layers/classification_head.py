"""A linear classifier that knows the names of its classes."""

import keras


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ClassificationHead(keras.layers.Dense):
    """A dense layer with one unit for each class; the names are saved with it.

    Without an activation its output are logits, with `"softmax"` probabilities. Name
    it so: `kc.export` names a model's output after its last layer.

    Args:
        class_names: Names of the classes, in the order of the outputs; all different.
        **kwargs: Those of `keras.layers.Dense`, other than `units`.

    Input shape:
        `(batch, dim)`.

    Output shape:
        `(batch, len(class_names))`.

    Raises:
        ValueError: Fewer than two names, names that are no strings, or equal ones.

    Example:
    >>> head = keras_contrastive.layers.ClassificationHead(["cat", "dog"])
    >>> head(np.zeros((8, 128))).shape
    TensorShape([8, 2])
    """

    def __init__(self, class_names, **kwargs):
        names = tuple(class_names)
        strings = all(isinstance(name, str) for name in names)
        if not strings or len(names) < 2 or len({*names}) < len(names):
            raise ValueError(
                "`class_names` must be at least two different strings. "
                f"Received: class_names={class_names!r}"
            )
        super().__init__(len(names), **kwargs)
        self.class_names = tuple(map(str, names))  # NumPy's strings, too

    def get_config(self):
        """Return the constructor's arguments."""
        config = super().get_config()
        config.pop("units")
        return {"class_names": list(self.class_names), **config}
