"""A tiny encoder and tiny views, the same for all tests of methods.

A method enters `METHODS`, and is tested: which tests apply follows from the model.
"""

import functools
import random

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_contrastive as kc

METHODS = {
    "simclr": lambda encoder, **kw: kc.SimCLR(encoder, head(), **kw),
    "supcon": lambda encoder, **kw: kc.SupCon(encoder, head(), **kw),
    "exemplar": lambda encoder, **kw: kc.Exemplar(encoder, head(), **kw),
    "byol": lambda encoder, **kw: kc.BYOL(encoder, head(), head(), **kw),
    "sce": lambda encoder, **kw: kc.SCE(encoder, head(), queue_size=24, **kw),
    "moco": lambda encoder, **kw: kc.MoCo(
        encoder, head(), queue_size=24, symmetric=True, **kw
    ),
    "simsiam": lambda encoder, **kw: kc.SimSiam(encoder, head(), head(), **kw),
    "nnclr": lambda encoder, **kw: kc.NNCLR(
        encoder, head(), head(32), queue_size=24, **kw
    ),
    "moco_v3": lambda encoder, **kw: kc.MoCo(
        encoder, head(), version=3, predictor=head(32), **kw
    ),
    # At the paper's temperatures, 0.1 and 0.05, codes of 8 images jump between steps.
    "swav": lambda encoder, **kw: kc.SwAV(
        *(encoder, head(32), 6, 0.5, 0.25),
        **{"queue_size": 24, "queue_start_epoch": 1, "freeze_epochs": 0, **kw},
    ),
    "dino": lambda encoder, **kw: kc.DINO(
        encoder, dino_head(), center_momentum=0.99, freeze_epochs=0, **kw
    ),
    # The paper's weights, 25, 25 and 1, are for a lower rate than that of the tests.
    "vicreg": lambda encoder, **kw: kc.VICReg(encoder, head(), 1.0, 1.0, 0.04, **kw),
    "align_uniform": lambda encoder, **kw: kc.AlignUniform(encoder, head(), **kw),
    "mmcl": lambda encoder, **kw: kc.MMCL(encoder, head(), 0.5, **kw),
    "pcl": lambda encoder, **kw: clustered(
        kc.PCL(
            *(encoder, head(32)),
            **{"num_examples": 32, "num_clusters": (5, 9), "num_negatives": 3},
            **{"temperature": 0.5, "queue_size": 24, **kw},
        )
    ),
    "barlow_twins": lambda encoder, **kw: kc.BarlowTwins(encoder, head(), **kw),
    "instance_discrimination": lambda encoder, **kw: kc.InstanceDiscrimination(
        encoder, head(), num_examples=32, num_negatives=8, **kw
    ),
    "cmc": lambda encoder, **kw: kc.CMC(
        encoder, head(32), **{"num_examples": 32, "num_negatives": 8, **kw}
    ),
    "pirl": lambda encoder, **kw: kc.PIRL(
        encoder, head(), num_examples=32, num_negatives=8, **kw
    ),
    # At the paper's scale of 0.1, predictions are short for the first epochs.
    "cpc": lambda encoder, **kw: kc.CPC(
        *(encoder, head(), kc.layers.CausalConvolutions(6, depth=2)),
        **{"offsets": (1, 2), "scale": 1.0, **kw},
    ),
    "lejepa": lambda encoder, **kw: kc.LeJEPA(encoder, head(), num_slices=64, **kw),
    "dim": lambda encoder, **kw: kc.DIM(
        *(encoder, head(), kc.layers.ResidualHead(4), "map", 0.5),
        **{"prior_units": 3, "discriminator": score(), **kw},
    ),
    "amdim": lambda encoder, **kw: kc.AMDIM(
        encoder, head(), ("map5", "map"), small_heads(), **kw
    ),
    "distillation": lambda encoder, **kw: kc.Distillation(
        tiny_encoder(), encoder, **{"temperature": 2.0, "weight": 0.5, **kw}
    ),
    # At its full weight, shape shrinks the embeddings of a batch of 8: see VISRegLoss.
    "visreg": lambda encoder, **kw: kc.VISReg(
        encoder, head(), num_slices=64, shape=0.25, **kw
    ),
}


# Encoders of methods that need other outputs than features: size of images to encoder.
ENCODERS = {
    "amdim": lambda size: two_maps_encoder(size),
    "cpc": lambda size: kc.encoders.of_patches(tiny_encoder(4), 2, (size, size, 3)),
    "cmc": lambda size: kc.encoders.lightness_and_color(
        lambda shape: tiny_encoder(size, shape[-1], width=3), (size, size, 3)
    ),
    "pirl": lambda size: tiny_encoder(None, kernel=2),
}


def encoder_of(name, size=8):
    """The tiny encoder, or the one that the method needs."""
    return ENCODERS.get(name, tiny_encoder)(size)


def norm_of(encoder):
    """The first batch norm of the encoder."""
    return next(x for x in encoder._flatten_layers() if hasattr(x, "moving_mean"))


def head(hidden_units=8):
    """A head of few units: of one without a bias some outputs are near 0, and then a
    loss of unit vectors magnifies rounding; a predictor is better wider."""
    return kc.layers.ProjectionHead(4, hidden_units=hidden_units)


def small_heads():
    """AMDIM's heads of both maps, without a batch norm behind the hidden layer."""
    return {name: kc.layers.ResidualHead(4, False, False) for name in ("map5", "map")}


def score():
    """DIM's discriminator, with few units."""
    return kc.layers.ProjectionHead(1, 8, hidden_bias=True, hidden_norm=False)


def clustered(model):
    """Give a new model the clusters that a callback makes between epochs."""
    for clustering in model.clusterings:
        k = clustering.num_clusters
        rng = np.random.default_rng(k)
        centres = rng.normal(size=(k, clustering.dim))
        clustering.fill(centres, np.arange(32) % k, rng.uniform(1, 2, 32))
    return model


def dino_head():
    return kc.layers.DINOHead(4, hidden_units=(8,), bottleneck=4, hidden_norm=True)


def tiny_encoder(size=8, channels=3, width=6, kernel=3):
    """Two layers with batch norm, images in [0, 255] to (batch, width)."""
    inputs = keras.Input((size, size, channels))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(width, kernel, strides=2, use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.9, synchronized=True)(x)
    x = keras.layers.ReLU(name="map")(x)
    outputs = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    return keras.Model(inputs, outputs, name="tiny_encoder")


def two_maps_encoder(size=8):
    """The tiny encoder, and a second map of 2 x 2 places behind the first."""
    encoder = tiny_encoder(size)
    x = encoder.get_layer("map").output
    x = keras.layers.Conv2D(6, 2, activation="relu", name="map5")(x)
    outputs = keras.layers.GlobalAveragePooling2D(dtype="float32")(x)
    return keras.Model(encoder.input, outputs, name="two_maps")


def set_seed(seed):
    """Seed what weights, layers and steps draw from, which is not TensorFlow's seed.

    To set that one clears its kernels: every function that is traced is optimized
    again at its next call, which took half the time of a short `fit`.
    """
    random.seed(seed)
    np.random.seed(seed)


def build(name, seed=0, **kwargs):
    """A method with weights that depend on `seed` alone."""
    set_seed(seed)
    return METHODS[name](encoder_of(name), **kwargs)


def arrays(n=32, size=8, seed=0):
    """Two views of n images of four classes, and the labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 4
    means = rng.uniform(40, 200, (4, 1, 1, 3))[labels]
    views = [means + rng.normal(0, 30, (n, size, size, 3)) for _ in range(2)]
    views = [np.clip(v, 0, 255).astype("float32") for v in views]
    return views, labels.astype("int64")


def inputs(model=None, n=32, seed=0):
    """What `model` needs: as many views, and labels or labels and ids."""
    needs = model.needs if model is not None else kc.Needs()
    views, labels = arrays(n, seed=seed)
    targets = {"label": labels, "id": np.arange(n)} if needs.ids else labels
    return tuple(views[: needs.max_views or 2]), targets


def dataset(model=None, n=32, batch=8, seed=0):
    """The same as a dataset, in order."""
    data = tf.data.Dataset.from_tensor_slices(inputs(model, n, seed))
    return data.batch(batch, drop_remainder=True)


def sgd(rate=0.05):
    return keras.optimizers.SGD(rate, momentum=0.9)


def weights_of(model):
    return [np.array(w) for w in model.weights]


def parameters(model):
    """What the target follows."""
    return model.encoder.trainable_variables + model.projector.trainable_variables


def target_parameters(model):
    """The target's own, in the same order."""
    target = model.target
    return target.encoder.trainable_variables + target.projector.trainable_variables


MOMENTUM = 0.97  # of the target at the start: it moves visibly, and the loss falls


def rule_of(model):
    """The rule of the shared models' targets."""
    return None if model.target is None else kc.callbacks.MomentumUpdate(MOMENTUM)


class Shared:
    """A model that is built and traced once per process; tests get it as new.

    Attributes:
        model: The model, trained for six epochs.
        history: What `fit` recorded in them.
    """

    def __init__(self, name):
        self.model = build(name, num_classes=4)
        self.rule = rule_of(self.model)
        self.model.compile(sgd(), momentum_update=self.rule, jit_compile=False)
        self.model.build_optimizer()
        self.start = self.state()
        fitted = self.model.fit(dataset(self.model), epochs=6, verbose=0)
        self.history = fitted.history
        self.end = self.state()
        self.step = self.model.train_function

    def state(self):
        """All that a step, a save or an evaluation may change, by its variable."""
        variables = [
            *self.model.variables,
            *self.model.optimizer.variables,
            *self.model.metrics_variables,
            *self.model.probe.optimizer.variables,
        ]
        return [(v, np.array(v)) for v in variables]

    def put(self, state):
        """Give the model back as it was in that state."""
        for variable, value in state:
            variable.assign(value)
        if self.model.target is not None:
            self.model.momentum_update = self.rule
        self.model.train_function, self.model.run_eagerly = self.step, False
        self.model.test_function = None
        set_seed(0)
        return self.model


@functools.lru_cache(maxsize=2)  # tests come by their method
def _shared(name, make):
    return Shared(name)


def started(name):
    """A compiled model with probe, before its first step: shared, not to be kept.

    The next call takes its weights away, so that a test has one such model at a time.
    """
    shared = _shared(name, METHODS[name])
    return shared.put(shared.start)


def trained(name):
    """The same model after six epochs, and the history of them."""
    shared = _shared(name, METHODS[name])
    return shared.put(shared.end), shared.history


@functools.cache
def tiny(name):
    """A model to be looked at only."""
    return build(name)


def methods(condition=lambda model: True):
    """Mark a test to run for every method whose model meets the condition."""
    return pytest.mark.parametrize(
        "name", [name for name in METHODS if condition(tiny(name))]
    )


def states(model):
    """The method's own layers beside its network: queue, bank, prototypes, centre."""
    parts = model.encoder, model.projector, model.predictor, model.clock
    known = {id(part) for part in (*parts, *model.apart())}
    return [layer for layer in model.layers if id(layer) not in known]


def first_of_each_kind():
    """The first method without states, and with each combination of them.

    A state is what no optimizer trains: a target, a queue, a bank, clusters, a running
    mean.
    """
    kinds = {}
    for name in METHODS:
        model = tiny(name)
        layers = [x for x in states(model) if not x.trainable_variables]
        kind = frozenset(type(x) for x in layers if x.weights)
        kinds.setdefault((kind, model.target is None), name)
    return list(kinds.values())


FIRST = first_of_each_kind()


def each_kind(condition=lambda model: True):
    """Mark a test of what the base does, alike for all methods that keep such states.

    One method of each kind runs by default, all others with `-m slow`.
    """
    return pytest.mark.parametrize(
        "name",
        [
            name if name in FIRST else pytest.param(name, marks=pytest.mark.slow)
            for name in METHODS
            if condition(tiny(name))
        ],
    )


def _has_target(model):
    return model.target is not None


def _takes_pairs(model):
    return model.needs.min_views == 2


ALL = methods()
PAIRS = methods(_takes_pairs)
KINDS = each_kind()
TARGETS = each_kind(_has_target)
KINDS_OF_PAIRS = each_kind(_takes_pairs)
