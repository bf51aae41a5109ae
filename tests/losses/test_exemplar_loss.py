import numpy as np
import pytest

from keras_contrastive.losses import ExemplarLoss, NTXentLoss


def embeddings(n=6, dim=5):
    return np.random.default_rng(0).normal(size=(n, 2, dim))


def by_hand(labels, z, temperature):
    """The sum over anchors, written out."""
    z = z / np.linalg.norm(z, axis=-1, keepdims=True)
    total = 0.0
    for i in range(len(z)):
        for view in range(2):
            positive = np.exp(z[i, view] @ z[i, 1 - view] / temperature)
            negatives = sum(
                np.exp(z[i, view] @ z[j, other] / temperature)
                for j in range(len(z))
                for other in range(2)
                if labels[j] != labels[i]
            )
            total -= np.log(positive / (positive + negatives))
    return total / (2 * len(z))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("block_size", [0, 5])
def test_equals_the_loop(temperature, block_size):
    labels, z = np.array([0, 1, 0, 2, 1, 0]), embeddings()
    loss = ExemplarLoss(temperature, block_size=block_size)
    expected = by_hand(labels, z, temperature)
    assert float(loss(labels, z)) == pytest.approx(expected, rel=1e-5)


def test_all_labels_differ_is_nt_xent():
    z = embeddings()
    expected = float(NTXentLoss(0.2)(z[:, 0], z[:, 1]))
    assert float(ExemplarLoss(0.2)(np.arange(6), z)) == pytest.approx(expected)


def test_one_class_has_nothing_to_push_away():
    assert float(ExemplarLoss()(np.full(6, 3), embeddings())) == 0


def test_large_labels_are_compared_exactly():
    labels = np.array([2**40, 2**40 + 1] * 3)
    expected = by_hand(labels, embeddings(), 0.1)
    actual = float(ExemplarLoss()(labels, embeddings()))
    assert actual == pytest.approx(expected, rel=1e-5)


def test_wrong_shapes():
    with pytest.raises(ValueError, match="Stack the embeddings of two views"):
        ExemplarLoss()(np.arange(6), embeddings()[:, 0])
    with pytest.raises(ValueError, match=r"\(batch, 2, dim\). Received.*\(6, 1, 5\)"):
        ExemplarLoss()(np.arange(6), embeddings()[:, :1])
    with pytest.raises(ValueError, match="Pass one class number per example"):
        ExemplarLoss()(np.arange(5), embeddings())
    with pytest.raises(ValueError, match="`labels` must be integers"):
        ExemplarLoss()(np.arange(6.0), embeddings())
