import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import InfoNCELoss, ProtoNCELoss

GOLDEN = golden_values.load("pcl")


def clusterings(golden):
    """The arguments of the loss, for each clustering."""
    for m in range(len(golden["loss_proto"])):
        yield (
            golden[f"im2cluster_{m}"][golden["index"]],
            golden[f"centroids_{m}"].astype("float32"),
            golden[f"density_{m}"].astype("float32"),
            golden[f"neg_proto_ids_{m}"],
        )


@pytest.mark.parametrize("case", GOLDEN)
def test_authors_values_and_gradients(case):
    golden = GOLDEN[case]
    q, k, queue = (golden[name].astype("float32") for name in ("q", "k", "queue"))
    temperature = golden["density_out"].mean()
    instance, gradients = value_and_gradients(InfoNCELoss(temperature), (k, queue), q)
    np.testing.assert_allclose(instance, golden["loss_instance"], rtol=2e-5)
    to_q, parts = gradients[-1], []
    for targets, expected in zip(
        clusterings(golden), golden["loss_proto"], strict=True
    ):
        value, gradients = value_and_gradients(ProtoNCELoss(), targets, q)
        np.testing.assert_allclose(value, expected, rtol=2e-5)
        assert not any(np.any(g) for g in gradients[:-1])  # none to the prototypes
        parts.append(gradients[-1])
    actual = to_q + np.mean(parts, axis=0)
    expected = golden["grad_q"]  # of q as a free variable; ours is normalised first
    expected = expected - q * np.sum(expected * q, axis=1, keepdims=True)
    assert_close(actual, expected, rtol=1e-4)


def test_naive_loop():
    rng = np.random.default_rng(0)
    q, c = rng.normal(size=(5, 4)), rng.normal(size=(9, 4))
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    phi, clusters = rng.uniform(0.1, 0.5, 9), np.array([0, 3, 3, 1, 0])
    negatives = np.array([5, -1, 7])
    losses = []
    for i in range(5):
        unit = q[i] / np.linalg.norm(q[i])
        scores = [np.exp(unit @ c[j] / phi[j]) for j in [*clusters, 5, 7]]
        losses.append(-np.log(scores[i] / np.sum(scores)))
    loss = ProtoNCELoss(reduction="none")
    actual = loss((clusters, c, phi, negatives), q)
    np.testing.assert_allclose(actual, losses, rtol=1e-5)


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, np.zeros((4, 1)), r"`assignments` must have shape \(batch\)"),
        (0, np.zeros(3), "same batch. Received"),
        (1, np.ones((6, 2)), "same width. Received"),
        (2, np.ones(5), "same number of clusters. Received"),
        (3, np.ones((1, 1)), r"`negatives` must have shape \(negatives\)"),
    ],
)
def test_shapes_that_do_not_fit(position, value, message):
    targets = [np.zeros(4), np.ones((6, 3)), np.ones(6), np.zeros(2)]
    targets[position] = value
    with pytest.raises(ValueError, match=message):
        ProtoNCELoss()(tuple(targets), np.ones((4, 3)))
    with pytest.raises(ValueError, match="must be the tuple .assignments"):
        ProtoNCELoss()(np.ones(4), np.ones((4, 3)))
