"""What measures of labelled data have in common while a model trains."""

import keras
import numpy as np
import tensorflow as tf

from keras_contrastive.checks import check_count
from keras_contrastive.evaluation.features import extract_features, images_and_labels


class LabelledEvaluation(keras.callbacks.Callback):
    """Measures the encoder's features on labelled data of its own.

    The loss of a self-supervised method says little about its features, and the data
    it trains on need not have labels. At the end of every `every`-th epoch and of the
    last one, features of both sets are taken in inference mode, and the accuracy goes
    into the epoch's `logs`: the progress bar shows it, `History` keeps it, and
    callbacks such as `EarlyStopping` can monitor it (`mode="max"`), after this one;
    `ContrastiveModel.fit` sees to the order. A subclass has `accuracy`.

    Args:
        train_data: `(images, labels)` arrays, or a `tf.data.Dataset` of
            `(images, labels)`. Images `(n, height, width, channels)` in [0, 255]
            without augmentation, labels `(n,)` integers; -1 is unlabelled and ignored.
        test_data: The same for the images to classify: validation data, not the test
            set that final numbers come from.
        every: Epochs between two evaluations.
        name: Key in `logs`.
    """

    def __init__(self, train_data, test_data, every, name):
        super().__init__()
        self.every = check_count("every", every)
        _check_labelled_images(train_data, "train_data")
        _check_labelled_images(test_data, "test_data")
        self.train_data, self.test_data = train_data, test_data
        self.name = name
        self.epoch = []
        self.history = {name: []}

    def accuracy(self, train_x, train_y, test_x, test_y) -> float:
        """Return the share of test rows that are classified correctly."""
        raise NotImplementedError

    def on_epoch_end(self, epoch, logs=None):
        """Evaluate, if it is this epoch's turn, and add the accuracy to `logs`."""
        last = epoch + 1 == self.params.get("epochs") or self.model.stop_training
        if (epoch + 1) % self.every and not last:
            return
        accuracy = self.evaluate()
        self.epoch.append(epoch)
        self.history[self.name].append(accuracy)
        if logs is not None:  # Keras hands the same dict to all callbacks, ours first
            logs[self.name] = accuracy

    def evaluate(self) -> float:
        """Return the accuracy of the model's encoder as it is now, in [0, 1]."""
        train_x, train_y = self._features(self.train_data)
        test_x, test_y = self._features(self.test_data)
        if not (np.isfinite(train_x).all() and np.isfinite(test_x).all()):
            return float("nan")  # training diverged: not for an evaluation to stop it
        return self.accuracy(train_x, train_y, test_x, test_y)

    def _features(self, data):
        if isinstance(data, tf.data.Dataset):
            return extract_features(self.model, data)
        images, labels = data
        return extract_features(self.model, images), labels


def _check_labelled_images(data, name):
    expected = (
        f"`{name}` must be labelled images: a pair of arrays (images, labels), or a "
        "tf.data.Dataset of (images, labels)"
    )
    if isinstance(data, tf.data.Dataset):
        if images_and_labels(data.element_spec)[1] is None:
            raise ValueError(
                f"{expected}. Received: a dataset without labels, {data.element_spec}"
            )
        return
    if not isinstance(data, (tuple, list)) or len(data) != 2 or data[1] is None:
        raise TypeError(f"{expected}. Received: {type(data).__name__}")
    shapes = [np.shape(part) for part in data]
    if len(shapes[0]) != 4 or shapes[0][0] == 0 or shapes[1][:1] != shapes[0][:1]:
        raise ValueError(
            f"{expected} with one label per image. Received: images of shape "
            f"{shapes[0]}, labels of shape {shapes[1]}"
        )
    if np.all(np.asarray(data[1]) == -1):
        raise ValueError(f"{expected}. Received: labels that are all -1 (unlabelled).")
