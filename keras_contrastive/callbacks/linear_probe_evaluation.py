"""Linear accuracy while a model trains."""

from keras_contrastive.callbacks.labelled_evaluation import LabelledEvaluation
from keras_contrastive.evaluation.linear_probe import linear_probe


class LinearProbeEvaluation(LabelledEvaluation):
    """Fits a linear classifier to the encoder's features, on labelled data of its own.

    The accuracy is that of `kc.evaluation.linear_probe`, which takes longer than kNN
    and says more: give it some thousand images, and not every epoch. When it is taken,
    and where it goes, `LabelledEvaluation` says. The online probe of `num_classes=`
    costs less, but trails behind the encoder.

    Args:
        train_data: `(images, labels)` arrays, or a `tf.data.Dataset` of
            `(images, labels)`. Images `(n, height, width, channels)` in [0, 255]
            without augmentation, labels `(n,)` integers; -1 is unlabelled and ignored.
        test_data: The same for the images to classify: validation data, not the test
            set that final numbers come from.
        every: Epochs between two evaluations.
        candidates: Strengths of the regularisation that are tried, as in
            `linear_probe`; one alone saves the search.
        name: Key in `logs`.

    Attributes:
        epoch: The epochs evaluated so far, counted from 0.
        history: `{name: accuracies}`, one per entry of `epoch`.

    Raises:
        TypeError: Data that is neither a pair of arrays nor a dataset.
        ValueError: Missing labels, images and labels of different length, or a wrong
            `every`.

    Example:
        probe = LinearProbeEvaluation((x_train, y_train), (x_test, y_test), every=10)
        model.fit(two_view_dataset, epochs=100, callbacks=[probe])
        probe.history["linear_accuracy"]
    """

    def __init__(
        self,
        train_data,
        test_data,
        every: int = 1,
        candidates: tuple[float, ...] = (1e-2,),
        name: str = "linear_accuracy",
    ):
        super().__init__(train_data, test_data, every, name)
        self.candidates = tuple(candidates)

    def accuracy(self, train_x, train_y, test_x, test_y) -> float:
        """Return the accuracy of `linear_probe`."""
        candidates = self.candidates
        return linear_probe(train_x, train_y, test_x, test_y, candidates=candidates)
