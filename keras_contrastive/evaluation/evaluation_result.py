"""What labels told about features: a table, a JSON file and a classifier."""

import dataclasses
import pathlib

import keras
import numpy as np

from keras_contrastive.evaluation.build_classifier import behind_encoder
from keras_contrastive.files import write_json
from keras_contrastive.layers.classification_head import ClassificationHead


@dataclasses.dataclass(frozen=True, eq=False)
class EvaluationResult:
    """What `evaluate_features` returns: prints as a table, saves as JSON.

    Args:
        accuracy: Share of the labelled test rows that the linear classifier gets
            right, in [0, 1].
        knn_accuracy: The same of the nearest neighbours, see `knn_accuracy`.
        class_names: Names of the classes in `train_y` and `test_y`, in their order.
        confusion_matrix: Integers `(classes, classes)`: labelled test rows by their
            class (rows) and by the one that they were given (columns).
        predictions: The class of every test row, `(m,)`, integers or names as the
            labels are.
        probabilities: Float32 `(m, classes in train_y)`; their names are
            `classifier.layers[-1].class_names`.
        classifier: `keras.Model` from features `(batch, dim)` to probabilities.
        protocol: How the numbers came about, as JSON holds it.

    Example: what `kc.export.to_saved_model` takes, too.

        result = kc.evaluation.evaluate_features(train_x, train_y, test_x, test_y)
        model = result.build_classifier(encoder)  # images to probabilities
        model.save("classifier.keras")
    """

    accuracy: float
    knn_accuracy: float
    class_names: list[str]
    confusion_matrix: np.ndarray
    predictions: np.ndarray
    probabilities: np.ndarray
    classifier: keras.Model
    protocol: dict

    @property
    def per_class_accuracy(self) -> dict[str, float | None]:
        """Name of each class to its accuracy; None of a class without test rows."""
        right, rows = np.diag(self.confusion_matrix), self.confusion_matrix.sum(axis=1)
        return {
            name: int(right[i]) / int(rows[i]) if rows[i] else None
            for i, name in enumerate(self.class_names)
        }

    def build_classifier(self, encoder: keras.Model) -> keras.Model:
        """Put the classifier behind a copy of the encoder whose features these were.

        Args:
            encoder: A functional `keras.Model` from images to features
                `(batch, dim)`, or a `ContrastiveModel`, whose encoder is taken.

        Returns:
            A functional `keras.Model` from images in [0, 255] to probabilities
            `(batch, classes)`. Its last layer holds the class names; both are saved
            in one `.keras` file and exported by `kc.export`.

        Raises:
            TypeError: `encoder` is not a `keras.Model`.
            ValueError: It has another number of features.
        """
        encoder = getattr(encoder, "encoder", encoder)
        fitted, dim = self.classifier.layers[-1], self.classifier.input_shape[-1]
        head = ClassificationHead.from_config(fitted.get_config())
        head.build((None, dim))
        head.set_weights(fitted.get_weights())
        if isinstance(encoder, keras.Model) and encoder.output_shape[-1] != dim:
            raise ValueError(
                f"`encoder` must give the {dim} features that were evaluated. "
                f"Received: {encoder.name!r} with output shape {encoder.output_shape}"
            )
        return behind_encoder(encoder, head)

    def to_dict(self) -> dict:
        """Return the numbers, the class names and the protocol, for JSON."""
        return {
            "accuracy": self.accuracy,
            "knn_accuracy": self.knn_accuracy,
            "class_names": self.class_names,
            "per_class_accuracy": self.per_class_accuracy,
            "confusion_matrix": self.confusion_matrix.tolist(),
            "protocol": self.protocol,
        }

    def save(self, path) -> pathlib.Path:
        """Write `to_dict` as JSON, under its final name only when complete.

        Args:
            path: The file to write; its folder exists.

        Returns:
            The path.
        """
        write_json(path, self.to_dict())
        return pathlib.Path(path)

    def __str__(self):
        train, test = self.protocol["train_rows"], self.protocol["test_rows"]
        width = max(12, *(len(name) + 2 for name in self.class_names))
        lines = [
            f"linear {100 * self.accuracy:.1f} %, kNN {100 * self.knn_accuracy:.1f} % "
            f"of {test:,} test rows ({train:,} training rows, "
            f"{len(self.class_names)} classes)",
            f"{'class':{width}} rows  accuracy  most often taken for",
        ]
        for i, (name, accuracy) in enumerate(self.per_class_accuracy.items()):
            row = self.confusion_matrix[i].copy()
            cells = f"{name:{width}}{row.sum():5,}"
            if accuracy is not None:
                row[i] = 0
                cells += f"{100 * accuracy:8.1f} %"
                if row.any():
                    cells += f"  {self.class_names[row.argmax()]} ({row.max():,})"
            lines.append(cells)
        return "\n".join(lines)
