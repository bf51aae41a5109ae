"""keras-contrastive evaluate ENCODER [DATA]: kNN and linear accuracy, class by class.

    keras-contrastive evaluate runs/simclr_resnet10_photos photos/
    keras-contrastive evaluate simclr_resnet10_cifar10_jpeg cifar10_jpeg

ENCODER is a preset, the folder of a run, or a .keras file. DATA is a folder with one
folder of images for each class, of which a fifth is held out to test on, unless it
holds `train` and `test`; one with images.npy and labels.npy; `sample`, the default; or
a prepared data set of TensorFlow Datasets.
"""

import pathlib

from absl import flags

from keras_contrastive.cli.main import UsageError
from keras_contrastive.cli.networks import define_range, load_encoder, range_of
from keras_contrastive.evaluation import evaluate_features
from keras_contrastive.zoo.measure import labelled_features

FLAGS = flags.FlagValues()
_JSON = flags.DEFINE_string(
    "json_file", None, "File for all numbers and their protocol.", flag_values=FLAGS
)
_RANGE = define_range(FLAGS)


def run(arguments: list[str]) -> None:
    """Measure, print, and write if asked."""
    if len(arguments) not in (1, 2):
        raise UsageError("Expected ENCODER and perhaps DATA.")
    encoder, data = load_encoder(arguments[0]), (arguments[1:] or ["sample"])[0]
    path = pathlib.Path(data)
    value_range = range_of(_RANGE, arguments[0])
    train, test = labelled_features(
        *(encoder, path if path.is_dir() else data), value_range=value_range
    )
    result = evaluate_features(*train, *test)
    print(result)
    if _JSON.value:
        result.save(_JSON.value)
