"""The loss of max-margin contrastive learning, one value per example."""

import keras
from keras import ops

from keras_contrastive import distribute
from keras_contrastive.checks import check_count
from keras_contrastive.losses.contrastive_loss import (
    ContrastiveLoss,
    check_temperature,
    check_two_views,
    to_float32,
)
from keras_contrastive.unit_vectors import l2_normalize


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MMCLLoss(ContrastiveLoss):
    """A support vector machine chooses how much each negative of an anchor counts.

    With unit vectors `x`, `z` of two views, `k(a, b) = exp(-|a - b|^2 / sigma)` and
    K = k(x, x) over the global batch of `N` images, anchor `i` is separated from the
    others by the largest margin where

        a_i = argmin_{0 <= a <= upper} a . D_i a / 2 - 2 sum_j a_j
        (D_i)_jl = K_jl + 1 - K_ij - K_il + regularization [j = l],    j, l != i

    and with these weights, which carry no gradient,

        l_i = sum_{j != i} a_ij (k(z_i, x_j) - k(x_i, z_i))

    Negatives are those of the first view. The loss is negative where an anchor's views
    are closer than its negatives.

    The closed form, the default, is the paper's: solve without the bounds, then clip.
    Since `a` and `-sum(a)` at `i` sum to 0, all anchors share one matrix, the centred
    kernel C: `a_ij = 2 H_ij / (regularization * H_ii)` with
    `H = C (C + regularization)^-1 + 1 / N`. So memory is of order `N^2` and work of
    order `N^3`, where a solution per anchor has `N` times as much of both. The weights
    are computed in float64: with a small `sigma` float32 loses their digits.

    With `steps`, Nesterov's projected gradient keeps the bounds as it goes, and each
    step costs `N^3`. The authors stop it early, after 1,000 steps of size 1e-3 or a
    change of 1e-2; here the step size follows from the kernel, and there is no other
    end than `steps`: about `10 sqrt(N / regularization)` come near the solution.

    Args:
        sigma: What the kernel divides squared distances by, positive; the authors' 10
            for ImageNet, and for CIFAR-100 50, 5 from epoch 75 on, and 0.5 from 125 on
            (the paper's 1 / sigma).
        regularization: Added to the diagonal of the dual, positive. Defaults to 0.1.
        upper: Largest weight, positive; None (default) for no limit, which is a C of
            -1 in the authors' code.
        steps: Steps of projected gradient, or None (default) for the closed form.
        reduction: As in `keras.losses.Loss`; the mean over the batch by default.
        name: Name of the loss.

    Call arguments:
        targets: Embeddings `x` of the first view, `(batch, dim)`, any float dtype, any
            length: they are L2-normalised here. They receive gradients.
        predictions: Embeddings `z` of the second view, `(batch, dim)`.

    Raises:
        ValueError: If an argument is out of range, the embeddings are not two matrices
            of one shape, or the batch has one image.

    Example:
        >>> import numpy as np
        >>> from keras_contrastive.losses import MMCLLoss
        >>> x = np.eye(4)  # each view at its own place, all others equally far away
        >>> bool(MMCLLoss(sigma=1.0)(x, x) < 0)
        True

    Reference:
        [Max-Margin Contrastive Learning](https://arxiv.org/abs/2112.11450) (Shah et
        al., 2022), sections 3.2 and 3.3; https://github.com/anshulbshah/MMCL.
    """

    def __init__(
        self,
        sigma,
        regularization=0.1,
        upper=None,
        steps=None,
        reduction="sum_over_batch_size",
        name="mmcl_loss",
    ):
        super().__init__(reduction=reduction, name=name)
        self.sigma = check_temperature("sigma", sigma)
        self.regularization = check_temperature("regularization", regularization)
        self.upper = None if upper is None else check_temperature("upper", upper)
        self.steps = None if steps is None else check_count("steps", steps)

    def call(self, targets, predictions):
        """Return the loss of each example, `(batch,)`."""
        x, z = check_two_views(targets, predictions, names=("x", "z"), least=2)
        x, z = to_float32(x), to_float32(z)
        everyone = distribute.all_gather(x)  # (N, D)
        rows = distribute.local_rows(ops.shape(x)[0])
        a = self.weights(ops.stop_gradient(everyone), rows)  # (n, N)
        x, z, everyone = (l2_normalize(vectors) for vectors in (x, z, everyone))
        positive = self._kernel(2 - 2 * ops.sum(x * z, axis=1, keepdims=True))
        negatives = self._kernel(2 - 2 * ops.matmul(z, ops.transpose(everyone)))
        return ops.sum(a * (negatives - positive), axis=1)

    def weights(self, x, rows):
        """Return the weights `a` of all images for the anchors `rows`, 0 for itself.

        Args:
            x: Embeddings of the global batch, `(N, dim)`.
            rows: Integers `(n,)`: the rows of `x` that are anchors.

        Returns:
            Float32 `(n, N)`, in [0, upper].
        """
        x = ops.cast(x, "float64")
        lengths = ops.sqrt(ops.sum(ops.square(x), axis=1, keepdims=True))
        x = x / ops.maximum(lengths, 1e-12)
        squares = ops.sum(ops.square(x), axis=1)  # 1, or 0 of a zero vector
        inner = ops.matmul(x, ops.transpose(x))
        kernel = self._kernel(squares[:, None] + squares - 2 * inner)
        # There is no factor of a matrix with NaN: it is the loss that shall be NaN.
        kernel = ops.where(ops.all(ops.isfinite(kernel)), kernel, 0.0)
        own = rows[:, None] == ops.arange(ops.shape(x)[0])
        solve = self._closed_form if self.steps is None else self._projected_gradient
        return ops.cast(solve(kernel, rows, ops.cast(own, "float64")), "float32")

    def _kernel(self, squared_distances):
        """Kernels less 1, which do not cancel where they are near 1."""
        return ops.expm1(-squared_distances / self.sigma)

    def _closed_form(self, kernel, rows, own):
        mean = ops.mean(kernel, axis=0, keepdims=True)
        centred = kernel - mean - ops.transpose(mean) + ops.mean(mean)
        n = ops.cast(ops.shape(kernel)[0], "float64")
        r, eye = self.regularization, ops.eye(ops.shape(kernel)[0], dtype="float64")
        root = ops.cholesky(centred + r * eye)
        inverse = ops.solve_triangular(root, eye, lower=True)
        inverse = ops.matmul(ops.transpose(inverse), ops.take(inverse, rows, axis=1))
        h = own - r * ops.transpose(inverse) + 1 / n  # (n, N), rows of H
        h_own = ops.sum(h * own, axis=1, keepdims=True)
        return self._bounded(2 / r * h / h_own, own)

    def _projected_gradient(self, kernel, rows, own):
        r = self.regularization
        k = ops.take(kernel, rows, axis=0)  # (n, N)
        # The trace bounds the largest eigenvalue, r is the smallest.
        largest = r - 2 * ops.sum(k, axis=1, keepdims=True)
        roots = ops.sqrt(largest), r**0.5
        momentum = (roots[0] - roots[1]) / (roots[0] + roots[1])

        def step(_, state):
            a, before = state
            ahead = a + momentum * (a - before)
            total = ops.sum(ahead, axis=1, keepdims=True)
            shared = ops.sum(k * ahead, axis=1, keepdims=True)
            product = ops.matmul(ahead, kernel) - k * total - shared + r * ahead
            return self._bounded(ahead - (product - 2) / largest, own), a

        start = ops.zeros_like(k)
        return ops.fori_loop(0, self.steps, step, (start, start))[0]

    def _bounded(self, a, own):
        upper = float("inf") if self.upper is None else self.upper
        return ops.clip(a, 0.0, upper) * (1 - own)

    def get_config(self):
        """Return the constructor's arguments, ready for JSON."""
        return {
            **super().get_config(),
            "sigma": self.sigma,
            "regularization": self.regularization,
            "upper": self.upper,
            "steps": self.steps,
        }
