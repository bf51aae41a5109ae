"""kNN accuracy while a model trains."""

from keras_contrastive.callbacks.labelled_evaluation import LabelledEvaluation
from keras_contrastive.checks import check_count
from keras_contrastive.evaluation.knn import knn_accuracy


class KNNEvaluation(LabelledEvaluation):
    """Measures the encoder's kNN accuracy on labelled data of its own.

    Nothing is trained, so it takes seconds: the measure to follow during pre-training,
    and to stop on. When it is taken, and where it goes, `LabelledEvaluation` says.

    Args:
        train_data: `(images, labels)` arrays, or a `tf.data.Dataset` of
            `(images, labels)`. Images `(n, height, width, channels)` in [0, 255]
            without augmentation, labels `(n,)` integers; -1 is unlabelled and ignored.
        test_data: The same for the images to classify: validation data, not the test
            set that final numbers come from.
        every: Epochs between two evaluations.
        k: Neighbours that vote.
        temperature: Of the votes, above 0.
        name: Key in `logs`.

    Attributes:
        epoch: The epochs evaluated so far, counted from 0.
        history: `{name: accuracies}`, one per entry of `epoch`, as in
            `keras.callbacks.History`. NaN when the features were not finite.

    Raises:
        TypeError: Data that is neither a pair of arrays nor a dataset.
        ValueError: Missing labels, images and labels of different length, or a wrong
            `every`, `k` or `temperature`.

    Example:
        knn = KNNEvaluation((x_train, y_train), (x_test, y_test), every=5)
        model.fit(two_view_dataset, epochs=20, callbacks=[knn])
        knn.history["knn_accuracy"]
    """

    def __init__(
        self,
        train_data,
        test_data,
        every: int = 1,
        k: int = 200,
        temperature: float = 0.1,
        name: str = "knn_accuracy",
    ):
        super().__init__(train_data, test_data, every, name)
        self.k = check_count("k", k)
        if not temperature > 0:
            raise ValueError(f"`temperature` must be > 0. Received: {temperature=}")
        self.temperature = temperature

    def accuracy(self, train_x, train_y, test_x, test_y) -> float:
        """Return `knn_accuracy`."""
        return knn_accuracy(train_x, train_y, test_x, test_y, self.k, self.temperature)
