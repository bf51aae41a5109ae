"""The battery notices what is wrong: MoCo broken in three ways, in its own entry."""

import types

import helpers
import keras
import pytest
import test_methods
from keras import ops

import keras_contrastive as kc
from keras_contrastive.layers import FeatureQueue


def registered(cls):
    return keras.saving.register_keras_serializable(package="kc_broken")(cls)


@registered
class WrongAverage(kc.MoCo):
    """The target moves twice in a step, as where a callback does it, too."""

    def after_step(self, outputs, batch, applied):
        super().after_step(outputs, batch, applied)
        self.target.move_towards(self.encoder, self.projector, 0.9)


@registered
class UnsavedQueue(kc.MoCo):
    """Keras does not see the queue, so that it is in no file."""

    def __init__(self, encoder, *args, **kwargs):
        super().__init__(encoder, *args, **kwargs)
        self.hidden = types.SimpleNamespace(
            queue=FeatureQueue(self.queue_size, self.embedding_dim)
        )

    def contrastive_loss(self, outputs, batch):
        queue = self.hidden.queue.value
        losses = [self.loss((k, queue), q) for k, q in outputs["pairs"]]
        return sum(losses) / len(losses)

    def after_step(self, outputs, batch, applied):
        for keys, _ in outputs["pairs"]:
            self.hidden.queue.enqueue(keys, applied)


@registered
class LocalNegatives(kc.MoCo):
    """A replica compares with its own part of the batch alone."""

    def contrastive_loss(self, outputs, batch):
        keys, queries = outputs["pairs"][0]
        keys, queries = (ops.normalize(x, axis=1) for x in (keys, queries))
        logits = ops.matmul(queries, ops.transpose(keys)) / self.temperature
        own = ops.arange(ops.shape(keys)[0])
        losses = ops.sparse_categorical_crossentropy(own, logits, from_logits=True)
        return ops.mean(losses) / kc.distribute.num_replicas()


def plain_loop(strategy_of, tmp_path):
    test_methods.test_target_equals_a_plain_loop("moco", tmp_path)


def save_and_load(strategy_of, tmp_path):
    test_methods.test_save_and_load_continue_with_the_same_steps("moco", tmp_path)


def replicas(strategy_of, tmp_path):
    test_methods.test_replicas_equal_one("moco", 2, strategy_of, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken, check, message",
    [
        (WrongAverage, plain_loop, "Not equal to tolerance"),
        (
            UnsavedQueue,
            save_and_load,
            "comparison failed",
        ),
        (LocalNegatives, replicas, "Not equal to tolerance"),
    ],
)
def test_a_broken_moco_fails(
    broken, check, message, monkeypatch, strategy_of, tmp_path
):
    def build(encoder, **kwargs):
        return broken(encoder, helpers.head(), queue_size=24, **kwargs)

    monkeypatch.setitem(helpers.METHODS, "moco", build)
    with pytest.raises(AssertionError, match=message):
        check(strategy_of, tmp_path)


def test_every_method_is_in_the_table():
    methods = [getattr(kc.methods, name) for name in kc.methods.__all__]
    methods = [
        x for x in methods if isinstance(x, type) and issubclass(x, kc.ContrastiveModel)
    ]
    tested = {type(helpers.tiny(name)) for name in helpers.METHODS}
    assert set(methods) - {kc.ContrastiveModel} <= tested
