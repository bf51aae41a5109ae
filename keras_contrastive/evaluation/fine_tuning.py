"""Training an encoder and a linear classifier on labels, pre-trained or not."""

import contextlib
import dataclasses
import math
import random

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive import layers
from keras_contrastive.data.array_checks import checked_images, checked_labels
from keras_contrastive.evaluation.build_classifier import build_classifier, with_head
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.evaluation.split_by_class import split_by_class


@dataclasses.dataclass(frozen=True, kw_only=True)
class FineTuning:
    """A protocol for training encoder and classifier on labels.

    The same for a pre-trained encoder and for one from scratch, so that comparing
    them is fair. AdamW with a linear warm-up over a twentieth of the steps and a
    cosine to zero; the learning rate is the one of `learning_rates` that classifies
    held-out *training* labels best, for each network and set of labels anew. Test
    images have no part in it. Batch norm is trained too.

    The length is a number of steps for few labels (a hundred epochs and more), and a
    number of epochs for many: whichever is longer.

    Args:
        learning_rates: Peak learning rates to choose from. With one nothing is held
            out, and training costs a quarter of that with three.
        steps: Length in steps, at least 1.
        epochs: Least length in passes over the labels, > 0.
        batch_size: Images per step; all of them where there are fewer.
        weight_decay: Decoupled weight decay, >= 0.
        augmentation: Layer with one random version of each image, such as
            `kc.layers.RandomResizedCrop(28, flip_probability=0.0)` for digits, which
            must not be mirrored. None: crops of at least 0.6 of the area, mirrored
            half of the time.

    Raises:
        ValueError: A value outside its range.
        TypeError: An `augmentation` of another kind.

    Example:
    >>> encoder = keras_contrastive.encoders.resnet(10, 8, input_shape=(28, 28, 1))
    >>> (x, y), _ = keras_contrastive.data.load_sample()
    >>> protocol = keras_contrastive.evaluation.FineTuning(steps=2, epochs=0.01)
    >>> classifier = protocol.fit(encoder, x[:100], y[:100], learning_rate=1e-3)
    >>> classifier(x[:2]).shape
    TensorShape([2, 10])

    References:
        - [Loshchilov and Hutter, 2019 (AdamW)](https://arxiv.org/abs/1711.05101)
    """

    learning_rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
    steps: int = 1000
    epochs: float = 10
    batch_size: int = 64
    weight_decay: float = 0.05
    augmentation: "layers.RandomResizedCrop | None" = None

    def __post_init__(self):
        rates = self.learning_rates
        if not isinstance(rates, tuple) or not rates or min(rates) <= 0:
            raise ValueError(
                "`learning_rates` must be a tuple of numbers > 0. "
                f"Received: learning_rates={rates!r}"
            )
        for name in ("steps", "batch_size"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`{name}` must be an int >= 1. Received: {value!r}")
        if self.epochs <= 0 or self.weight_decay < 0:
            raise ValueError(
                "`epochs` must be > 0 and `weight_decay` >= 0. Received: "
                f"epochs={self.epochs}, weight_decay={self.weight_decay}"
            )
        from keras_contrastive.layers.random_augmentation import RandomAugmentation

        if not isinstance(self.augmentation, RandomAugmentation | None):
            raise TypeError(
                "`augmentation` must be None or a random layer of kc.layers, such as "
                f"kc.layers.RandomResizedCrop. Received: {self.augmentation!r}"
            )

    def fit(
        self,
        encoder: keras.Model,
        images,
        labels,
        learning_rate: float | None = None,
        from_scratch: bool = False,
        seed: int = 0,
        class_names: list[str] | None = None,
        head_layers: int = 0,
    ) -> keras.Model:
        """Train a copy of the encoder with a linear classifier on it.

        Args:
            encoder: A functional `keras.Model` from images to features
                `(batch, dim)`, or a `ContrastiveModel`; it stays as it is.
            images: Array `(n, height, width, channels)` in [0, 255].
            labels: Integers `(n,)` from 0 to the number of classes - 1.
            learning_rate: Peak learning rate; None chooses it first.
            from_scratch: Whether the copy begins with new random weights.
            seed: Integer >= 0, of weights, order and augmentation.
            class_names: If given, the name of each class, see `build_classifier`.
            head_layers: Layers of the projector to keep, see `build_classifier`.

        Returns:
            A compiled functional `keras.Model` from images to logits
            `(batch, num_classes)`, see `build_classifier`.

        Raises:
            ValueError: Images or labels of a wrong shape, dtype or range, images with
                NaN, a label of -1, images that do not fit the encoder, or fewer
                `class_names` than classes.
        """
        encoder = with_head(encoder, head_layers)
        images, labels = check_labelled_images(images, labels, "train")
        num_classes = int(labels.max()) + 1
        if class_names is not None:
            num_classes = max(num_classes, len(class_names))  # some may have no images
        if learning_rate is None:
            learning_rate = self.choose(encoder, images, labels, from_scratch, seed)
        steps = self.steps_for(len(images))
        # Weights come from Python's generator: its state is put back afterwards.
        with _python_seed(seed):
            if from_scratch:
                encoder = keras.models.clone_model(encoder)
            model = build_classifier(encoder, num_classes, class_names=class_names)
        model.compile(
            keras.optimizers.AdamW(
                _schedule(learning_rate, steps), weight_decay=self.weight_decay
            ),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
            # XLA makes a ResNet step on a CPU slower.
            jit_compile=bool(tf.config.list_physical_devices("GPU")),
        )
        # The metric's variables and these are made here, not in the first step: that
        # would be traced twice.
        model.optimizer.build(model.trainable_variables)
        model.fit(self._batches(images, labels, steps, seed), shuffle=False, verbose=0)
        return model

    def choose(
        self, encoder, images, labels, from_scratch: bool = False, seed: int = 0
    ) -> float:
        """Return the learning rate that is best on a held-out fifth of the labels.

        A fifth of each class; the smaller one of equal learning rates wins. With a
        single label of some class nothing can be held out: the middle one.

        Args:
            encoder: As in `fit`.
            images: As in `fit`.
            labels: As in `fit`.
            from_scratch: As in `fit`.
            seed: As in `fit`.

        Returns:
            One of `learning_rates`.

        Raises:
            ValueError: As in `fit`.
        """
        images, labels = check_labelled_images(images, labels, "train")
        rates = sorted(self.learning_rates)
        sizes = np.unique(labels, return_counts=True)[1]
        if len(rates) == 1 or sizes.min() < 2:
            return rates[len(rates) // 2]
        kept, held_out = split_by_class(labels, seed=seed)
        scores = []
        for rate in rates:
            model = self.fit(
                encoder, images[kept], labels[kept], rate, from_scratch, seed
            )
            scores.append(accuracy(model, images[held_out], labels[held_out]))
        return rates[int(np.argmax(scores))]

    def describe(self) -> dict:
        """Return the protocol as JSON holds it."""
        about = dataclasses.asdict(dataclasses.replace(self, augmentation=None))
        if self.augmentation is not None:
            from keras_contrastive.layers.random_augmentation import describe

            about["augmentation"] = describe(self.augmentation)
        return {**about, "optimizer": "AdamW", "schedule": "warm-up 5 %, cosine to 0"}

    def steps_for(self, count: int) -> int:
        """Return the length of a training on `count` labels, in steps."""
        batch_size = min(self.batch_size, count)
        return max(self.steps, math.ceil(self.epochs * count / batch_size))

    def _batches(self, images, labels, steps, seed):
        """`steps` batches of augmented images; the same ones for the same seed."""
        augmentation = self.augmentation or layers.RandomResizedCrop(
            images.shape[1:3], area=(0.6, 1.0), seed=0
        )
        images, labels = tf.constant(images), tf.constant(labels)

        def batch(step, chosen):
            step_seed = tf.stack([tf.constant(seed, "int64"), step])
            augmented = augmentation.transform(tf.gather(images, chosen), step_seed)
            return augmented, tf.gather(labels, chosen)

        count = len(labels)
        return (
            tf.data.Dataset.range(count)
            .shuffle(count, seed=seed)
            .repeat()
            .batch(min(self.batch_size, count))
            .take(steps)
            .enumerate()
            .map(batch, num_parallel_calls=tf.data.AUTOTUNE)
            .prefetch(tf.data.AUTOTUNE)
        )


def accuracy(classifier: keras.Model, images, labels) -> float:
    """Return the fraction of images that a classifier gives its highest logit."""
    logits = extract_features(classifier, images)  # the compiled forward pass
    return float(np.mean(np.argmax(logits, axis=1) == labels))


def check_labelled_images(images, labels, name: str):
    """Return images and labels as arrays, or say what is wrong with them.

    Args:
        images: Array `(n, height, width, channels)` in [0, 255].
        labels: Integers `(n,)` or `(n, 1)`, no -1.
        name: `"train"` or `"test"`, for the messages.

    Returns:
        `(images, labels)`: uint8 or float32, and int64 of shape `(n,)`.

    Raises:
        ValueError: A wrong shape, dtype or value range; NaN; a negative label.
    """
    try:
        images = checked_images(images)
        labels = checked_labels(labels, len(images))
    except ValueError as error:
        raise ValueError(f"Of the {name} images and labels, {error}") from None
    if labels.min() < 0:
        raise ValueError(
            f"The {name} labels must all be known. Received: "
            f"{np.count_nonzero(labels < 0)} labels below 0, the mark of an unlabelled "
            "image. Leave these out: `images[labels >= 0], labels[labels >= 0]`."
        )
    return images, labels


def _schedule(peak, steps):
    """A linear warm-up over a twentieth of the steps, then half a cosine to 0."""
    warmup = max(1, steps // 20)
    return keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warmup), warmup_target=peak, warmup_steps=warmup
    )


@contextlib.contextmanager
def _python_seed(seed):
    """Seed Python's generator, which seeds Keras's initializers, for a while."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
