"""One small encoder and one export of it, for all tests of this folder."""

import keras
import numpy as np
import pytest

from keras_contrastive import encoders, export
from keras_contrastive.data import load_sample
from keras_contrastive.files import locked


@pytest.fixture(scope="session")
def images():
    """256 real images, (256, 28, 28, 1)."""
    return load_sample()[1][0][:256]


@pytest.fixture(scope="session")
def make_encoder(images):
    """A function: seed -> an encoder whose batch norms have seen the images."""

    def make(seed=0, **arguments):
        keras.utils.set_random_seed(seed)
        encoder = encoders.resnet(
            depth=10, width=8, **{"input_shape": (28, 28, 1), **arguments}
        )
        batch = images[:64].astype("float32")
        channels = encoder.inputs[0].shape[-1]
        # With momentum 0 the statistics are those of one batch: one pass is enough.
        norms = [x for x in encoder.layers if hasattr(x, "momentum")]
        momentum = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 0.0
        encoder(np.repeat(batch, channels, -1), training=True)
        for norm, value in zip(norms, momentum, strict=True):
            norm.momentum = value
        return encoder

    return make


@pytest.fixture(scope="session")
def encoder(make_encoder):
    return make_encoder()


@pytest.fixture(scope="session")
def exported(encoder, images, tmp_path_factory, worker_id):
    """The version folder of a SavedModel of `encoder`; the first worker makes it."""
    folder = tmp_path_factory.mktemp("export")
    if worker_id != "master":
        folder = tmp_path_factory.getbasetemp().parent / "export"
        folder.mkdir(exist_ok=True)
    with locked(folder):
        made = folder / "fashion" / "1"
        if not made.exists():
            metadata = {"method": "none", "metrics": {"knn": np.float32(0.5)}}
            export.to_saved_model(
                encoder, folder / "fashion", images=images[:64], metadata=metadata
            )
    return made
