"""Calls an augmentation the way it wants to be called, and checks what it gives."""

import inspect

import keras
import tensorflow as tf


class ViewMaker:
    """`(images, key) -> tuple of views`, for any layer or function.

    An augmentation whose call takes `seed` gets the key: the same key, the same
    views, whatever the parallelism. Any other one draws its own random numbers.
    """

    def __init__(self, augmentation):
        self._augmentation = augmentation
        is_layer = isinstance(augmentation, keras.layers.Layer)
        parameters = _parameters(augmentation.call if is_layer else augmentation)
        self._takes_seed = "seed" in parameters
        self._takes_training = is_layer and "training" in parameters
        if not is_layer and augmentation is not None:
            # The loaders trace without AutoGraph; a user's function may need it.
            self._augmentation = tf.function(augmentation)
        self.problem = None

    def __call__(self, images, key):
        """Return views of a batch; `(images,)` without an augmentation."""
        if self._augmentation is None:
            return (images,)
        options = {"seed": key} if self._takes_seed else {}
        if self._takes_training:
            options["training"] = True
        views = self._augmentation(images, **options)
        self.problem = _problem(views, images)
        if self.problem:
            # Raised by `check`: an error raised while tf.data traces comes out
            # wrapped in a page of other people's code.
            return (images,)
        return tuple(views)

    def single(self, image, key):
        """Return views of one image, through a batch of one."""
        return tuple(view[0] for view in self(image[None], key))

    def check(self):
        """Raise what tracing found.

        Raises:
            ValueError: If the augmentation does not give a tuple of views.
        """
        if self.problem:
            raise ValueError(self.problem)


def _parameters(function):
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # None and some built-in functions
        return {}


def _problem(views, images):
    remedy = (
        "It must return a tuple of views, each a batch as long as the batch of "
        "images: (view_1, view_2), or (view,) for a method of one view."
    )
    if not isinstance(views, tuple | list):
        kind = "one tensor" if tf.is_tensor(views) else type(views).__name__
        return f"`augmentation` returned {kind} instead of views. {remedy}"
    if not views:
        return f"`augmentation` returned no view. {remedy}"
    for number, view in enumerate(views, start=1):
        if not tf.is_tensor(view) or view.shape.rank == 0:
            return f"`augmentation`: view_{number} is {view!r}. {remedy}"
        if not view.shape[:1].is_compatible_with(images.shape[:1]):
            return (
                f"`augmentation`: view_{number} has {view.shape[0]} images for a batch "
                f"of {images.shape[0]}; its shape is {view.shape}. {remedy}"
            )
    return None
