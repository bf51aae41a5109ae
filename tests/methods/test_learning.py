"""Each method learns something on real images in a short run."""

import keras
import pytest

import keras_contrastive as kc

MAKE = {
    "simclr": lambda encoder: kc.SimCLR(encoder, temperature=0.2),
    "supcon": lambda encoder: kc.SupCon(encoder),
    "byol": lambda encoder: kc.BYOL(
        encoder,
        kc.layers.ProjectionHead(64, hidden_units=256, hidden_bias=True),
        kc.layers.ProjectionHead(64, hidden_units=256, hidden_bias=True),
    ),
    "sce": lambda encoder: kc.SCE(encoder, queue_size=1024),
}


# One; the others take as long again each.
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "name",
    ["simclr", *(pytest.param(x, marks=SLOW) for x in ("sce", "supcon", "byol"))],
)
def test_knn_rises_above_the_untrained_encoder(name):
    (x_train, y_train), (x_test, y_test) = kc.data.load_sample()
    x_train, y_train = x_train[:4000], y_train[:4000]
    keras.utils.set_random_seed(0)
    # BYOL begins slowly: its first epochs lose what chance had given.
    epochs, size = (8, 20) if name == "byol" else (4, 16)
    policy = kc.augmentations.simclr(size, blur=0.0, area=(0.2, 1.0))
    views = kc.data.views_from_arrays(
        x_train, y_train, augmentation=policy, batch_size=128, seed=0
    )
    encoder = kc.encoders.resnet(depth=10, width=8, input_shape=(None, None, 1))
    model = MAKE[name](encoder)
    model.compile(
        kc.optimizers.CoupledSGD(
            kc.optimizers.WarmupCosine(0.2, warmup_epochs=1), weight_decay=5e-4
        ),
        jit_compile=False,
    )
    knn = kc.callbacks.KNNEvaluation(
        (x_train, y_train), (x_test[:1000], y_test[:1000]), k=20, every=100
    )
    knn.set_model(model)
    before = knn.evaluate()
    model.fit(views, epochs=epochs, verbose=0, callbacks=[knn])
    after = knn.history["knn_accuracy"][-1]
    assert after > before + 0.02
