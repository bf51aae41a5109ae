"""A lower bound on the information that two views share, as features show it."""

import math

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.checks import check_count
from keras_contrastive.evaluation.features import features_of_views
from keras_contrastive.evaluation.information_result import InformationResult
from keras_contrastive.mutual_information import InformationEstimator, SeparableCritic


def view_information(
    views_dataset, encoder, batch_size: int = 256, epochs: int = 50, seed: int = 0
) -> InformationResult:
    """Measure how much the two views of an image share, in nats, by InfoNCE.

    Too little, and there is nothing to learn from; too much, and views agree in what
    does not matter: accuracy by shared information is an inverted U (Tian et al.,
    2020). It is what the features of this encoder show, hence at most what the images
    share, and at most `log N`: compare augmentations by one encoder and one N.

    Half of the pairs train a `SeparableCritic` on standardised features, by
    `keras_contrastive.mutual_information.infonce`. A quarter says when to stop. On the
    last quarter the bound is measured: the mean over batches of N pairs, those that
    fill no batch left out.

    Args:
        views_dataset: A finite, batched `tf.data.Dataset` of `((view_1, view_2),)` or
            `((view_1, view_2), label)`, such as `kc.data.views_from_arrays` makes;
            images in [0, 255]. A thousand pairs or more.
        encoder: A functional `keras.Model` from images to features `(batch, dim)`, or a
            `ContrastiveModel`, whose `encoder` is used.
        batch_size: N, in training and in measuring; the held-out pairs if they are
            fewer.
        epochs: At most so many passes of the critic over its pairs.
        seed: Of the split, the critic and the order: the same pairs, encoder and seed
            give the same result.

    Returns:
        An `InformationResult` with the bound `nats` and its `ceiling`, log N.

    Raises:
        TypeError: No dataset, or an encoder that is not a model.
        ValueError: A dataset of anything else or without end, or fewer than 8 pairs.

    Example:
    >>> images = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 3), "uint8")
    >>> views = tf.data.Dataset.from_tensor_slices(((images, images),)).batch(32)
    >>> encoder = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten()])
    >>> result = keras_contrastive.evaluation.view_information(views, encoder, epochs=1)
    >>> result.candidates, round(result.ceiling, 4)
    (16, 2.7726)

    References:
        - [Tian et al., 2020 (InfoMin)](https://arxiv.org/abs/2005.10243), section 4
        - [van den Oord et al., 2018 (InfoNCE)](https://arxiv.org/abs/1807.03748)
    """
    for name, value in (("batch_size", batch_size), ("epochs", epochs)):
        check_count(name, value)
    pairs = features_of_views(encoder, views_dataset)
    n = len(pairs[0])
    if n < 8 or batch_size < 2:
        raise ValueError(
            "Expected 8 pairs of views or more, of which a quarter is held out, and a "
            f"batch of 2 or more. Received: {n} pairs, batch_size={batch_size}"
        )
    order = np.random.default_rng(seed).permutation(n)
    parts = np.split(order, [n // 2, n - n // 4])
    mean, deviation = _scale(np.concatenate([part[parts[0]] for part in pairs]))
    pairs = [(part - mean) / deviation for part in pairs]
    train, stop, (x, y) = [tuple(part[rows] for part in pairs) for rows in parts]

    model = InformationEstimator(SeparableCritic(128, 256, seed=seed), "infonce")
    model.compile(keras.optimizers.Adam(1e-3))
    size = min(batch_size, len(train[0]))
    batches = tf.data.Dataset.from_tensor_slices((train,))
    batches = batches.shuffle(len(train[0]), seed=seed).batch(size, drop_remainder=True)
    candidates = min(batch_size, len(x))
    patience = keras.callbacks.EarlyStopping(
        "val_bound", mode="max", patience=5, restore_best_weights=True
    )
    model.fit(
        batches,
        epochs=epochs,
        shuffle=False,  # the dataset does
        validation_data=(stop,),
        validation_batch_size=candidates,
        callbacks=[patience],
        verbose=0,
    )
    nats = model.estimate(x, y, batch_size=candidates)
    return InformationResult(nats, math.log(candidates), candidates, len(x))


def _scale(features):
    """Mean and standard deviation of each feature; 1 for one that never changes."""
    deviation = features.std(axis=0)
    return features.mean(axis=0), np.where(deviation > 1e-6, deviation, 1.0)
