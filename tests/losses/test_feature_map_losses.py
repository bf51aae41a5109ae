"""CPC, DIM and AMDIM: losses between places, on maps of features."""

import golden_values
import numpy as np
import pytest
from loss_checks import assert_close, value_and_gradients

from keras_contrastive.losses import AMDIMLoss, CPCLoss, DIMLoss

CPC = golden_values.load("cpc")
DIM = golden_values.load("dim_amdim")


@pytest.mark.parametrize("case", CPC)
@pytest.mark.parametrize(("candidates", "key"), [("all", "all"), ("step", "shift")])
def test_cpc_has_the_authors_values_and_gradients(case, candidates, key):
    golden = CPC[case]
    hp, z = golden["hp"], golden["z"].astype("float32")
    loss, to_z = CPCLoss(candidates), 0.0
    steps = golden[f"loss_{key}_steps"]
    for k, expected in enumerate(steps):
        context = golden["c"][:, : z.shape[1] - hp["offsets"][k]]
        predictions = hp["embed_scale"] * context @ golden["W"][k]
        value, (gradient, to_p) = value_and_gradients(
            loss, z, predictions.astype("float32")
        )
        np.testing.assert_allclose(value, expected, rtol=2e-5)
        to_z = to_z + gradient / len(steps)
        to_w = np.einsum("nhwc,nhwd->cd", hp["embed_scale"] * context, to_p)
        expected = golden[f"grad_W_{key}"][k]
        assert_close(to_w / len(steps), expected, rtol=1e-4)
    assert_close(to_z, golden[f"grad_z_{key}"], rtol=1e-4)


def test_cpc_by_a_naive_loop():
    rng = np.random.default_rng(0)
    z, p = rng.normal(size=(3, 4, 2, 5)), rng.normal(size=(3, 2, 2, 5))
    for candidates, first in (("all", 0), ("step", 2)):
        expected = np.zeros(3)
        for i, r, w in np.ndindex(3, 2, 2):
            scores = [
                p[i, r, w] @ z[j, row, column]
                for j in range(3)
                for row in range(first, 4)
                for column in range(2)
            ]
            own = p[i, r, w] @ z[i, r + 2, w]
            expected[i] -= np.log(np.exp(own) / np.sum(np.exp(scores))) / 4
        actual = CPCLoss(candidates, reduction="none")(z, p)
        np.testing.assert_allclose(actual, expected, rtol=1e-5)


@pytest.mark.parametrize("case", DIM)
@pytest.mark.parametrize("estimator", ["jsd", "infonce"])
def test_dim_has_the_authors_values_and_gradients(case, estimator):
    golden = DIM[case]
    m = golden["m"][:, :, 0].astype("float32")
    places = golden["l"].transpose(0, 2, 1).astype("float32")
    value, (to_m, to_l) = value_and_gradients(DIMLoss(estimator), m, places)
    np.testing.assert_allclose(value, golden[f"loss_{estimator}"], rtol=2e-5)
    assert_close(to_m, golden[f"grad_m_{estimator}"][:, :, 0], rtol=1e-4)
    expected = golden[f"grad_l_{estimator}"].transpose(0, 2, 1)
    assert_close(to_l, expected, rtol=1e-4)


@pytest.mark.parametrize("case", DIM)
def test_amdim_has_the_authors_values_and_gradients(case):
    golden = DIM[case]
    g = golden["amdim_r_src"].astype("float32")
    n, dim = g.shape
    places = golden["amdim_r_trg"].T.reshape(n, -1, dim).astype("float32")
    clip = golden["hp"]["amdim_tclip"]
    value, (to_l, to_g) = value_and_gradients(AMDIMLoss(clip), places, g)
    expected = golden["amdim_loss"] + golden["amdim_lgt_reg"]
    np.testing.assert_allclose(value, expected, rtol=2e-5)
    assert_close(to_g, golden["amdim_grad_r_src"], rtol=1e-4)
    expected = golden["amdim_grad_r_trg"].T.reshape(n, -1, dim)
    assert_close(to_l, expected, rtol=1e-4)


def test_dim_and_amdim_by_naive_loops():
    rng = np.random.default_rng(0)
    m, places = rng.normal(size=(4, 3)), rng.normal(size=(4, 2, 3))
    u = np.einsum("id,jkd->ijk", m, places)
    jsd, infonce, amdim = np.zeros((3, 4))
    for i in range(4):
        others = np.delete(u[i], i, axis=0)
        jsd[i] = np.mean(np.log1p(np.exp(-others)) + others - np.log(2))
        jsd[i] -= np.mean(np.log(2) - np.log1p(np.exp(-u[i, i])))
        rest = np.sum(np.exp(others)) + 2 * np.exp(-10)
        infonce[i] = -np.mean(np.log(np.exp(u[i, i]) / (np.exp(u[i, i]) + rest)))
        s = u / np.sqrt(3)
        t = np.exp(0.7 * np.tanh(s / 0.7))
        rest = np.sum(np.delete(t[i], i, axis=0))
        amdim[i] = -np.mean(np.log(t[i, i] / (t[i, i] + rest)))
        amdim[i] += 0.3 * np.mean(s[i] ** 2)
    none = {"reduction": "none"}
    actual = DIMLoss("jsd", **none)(m, places)
    np.testing.assert_allclose(actual, jsd, rtol=1e-5, atol=1e-6)
    actual = DIMLoss("infonce", **none)(m, places)
    np.testing.assert_allclose(actual, infonce, rtol=1e-5)
    actual = AMDIMLoss(0.7, 0.3, **none)(places, m)
    np.testing.assert_allclose(actual, amdim, rtol=1e-5)


def test_bad_arguments():
    z = np.ones((2, 3, 2, 4))
    words = 'must be "all" or "step". Received: candidates=.some'
    with pytest.raises(ValueError, match=words):
        CPCLoss("some")
    with pytest.raises(ValueError, match="smaller offset, or more patches"):
        CPCLoss()(z, z)
    with pytest.raises(ValueError, match="same batch, columns and width"):
        CPCLoss()(z, z[:, 1:, :1])
    with pytest.raises(
        ValueError, match=r"`predictions` must have shape \(batch, rows"
    ):
        CPCLoss()(z, z[0])
    words = 'must be "jsd" or "infonce". Received: estimator=.dv'
    with pytest.raises(ValueError, match=words):
        DIMLoss("dv")
    with pytest.raises(ValueError, match="same batch and width"):
        DIMLoss()(np.ones((2, 3)), np.ones((2, 5, 4)))
    with pytest.raises(ValueError, match=r"`local` must have shape \(batch, places"):
        DIMLoss()(np.ones((2, 3)), np.ones((2, 3)))
    for loss in (lambda g, p: DIMLoss()(g, p), lambda g, p: AMDIMLoss()(p, g)):
        with pytest.raises(ValueError, match="at least 2. Received: global.shape"):
            loss(np.ones((1, 3)), np.ones((1, 5, 3)))
    with pytest.raises(ValueError, match="`clip` must be a finite number"):
        AMDIMLoss(0)
    with pytest.raises(ValueError, match="`regularization` must be a number >= 0"):
        AMDIMLoss(regularization=-1)
