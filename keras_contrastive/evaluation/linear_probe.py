"""Accuracy of a linear classifier on fixed features."""

import warnings

import numpy as np

from keras_contrastive.evaluation.labelled import check_labelled

CANDIDATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)


def linear_probe(
    train_x,
    train_y,
    test_x,
    test_y,
    candidates: tuple[float, ...] = CANDIDATES,
    seed: int = 0,
) -> float:
    """Train a linear classifier on features and return its test accuracy.

    Multinomial logistic regression (scikit-learn, L-BFGS) on features standardised
    by the training rows. Its regularisation is chosen by the cross-entropy on held-out
    training rows, never on test rows: 5-fold cross-validation up to 2,000 rows, and a
    fifth of the rows above (fewer folds if a class has fewer than five rows); then it
    is fitted again on all training rows. (By held-out accuracy the best candidates
    differ by a few rows, and rounding decides.) It is the cross-entropy at its best
    temperature, as confidence is no part of accuracy.

    Args:
        train_x: Features, `(n, dim)`.
        train_y: Integer classes or class names, `(n,)`; rows with the label -1 are
            ignored.
        test_x: Features, `(m, dim)`.
        test_y: As `train_y`, `(m,)`; rows with the label -1 are ignored.
        candidates: Inverse regularisation strengths to choose from (scikit-learn's
            `C`). With one candidate, or a class of a single row, nothing is held out
            (and the middle candidate is used).
        seed: Of the split into training and held-out rows.

    Returns:
        The fraction of test rows classified correctly, in [0, 1].

    Raises:
        ImportError: scikit-learn is missing.
        ValueError: A wrong shape or dtype, features that are not finite, no labels,
            or only one class.

    Example:
    >>> x, y = np.repeat(np.eye(3), 10, axis=0), np.repeat(np.arange(3), 10)
    >>> keras_contrastive.evaluation.linear_probe(x, y, x, y)
    1.0
    """
    train_x, train_y, test_x, test_y = check_labelled(train_x, train_y, test_x, test_y)
    scaler, model = fit_linear(train_x, train_y, candidates, seed)
    return float(np.mean(model.predict(scaler.transform(test_x)) == test_y))


def fit_linear(x, y, candidates: tuple[float, ...] = CANDIDATES, seed: int = 0):
    """Standardise features and fit the classifier of `linear_probe` to them.

    Args:
        x: Float32 features, `(n, dim)`.
        y: Classes, `(n,)`, all of them known.
        candidates: As in `linear_probe`.
        seed: As in `linear_probe`.

    Returns:
        `(scaler, model)`: the fitted `StandardScaler` and `LogisticRegression`.

    Raises:
        ImportError: scikit-learn is missing.
        ValueError: A wrong candidate, or only one class.
    """
    try:
        from sklearn.preprocessing import StandardScaler
        from threadpoolctl import threadpool_limits
    except ImportError as error:
        raise ImportError(
            "A linear classifier on features needs scikit-learn: "
            'pip install "keras-contrastive[plots]"'
        ) from error
    candidates = tuple(sorted(candidates))
    if not candidates or candidates[0] <= 0:
        raise ValueError(f"`candidates` must be > 0. Received: {candidates=}")
    if len(np.unique(y)) < 2:
        raise ValueError(
            f"`train_y` must have at least two classes. Received: only class {y[0]}"
        )
    scaler = StandardScaler().fit(x)
    x = scaler.transform(x)
    # NumPy's and SciPy's BLAS each have their threads, which spin while they wait for
    # one another: on two cores one thread is twice as fast.
    with threadpool_limits(1, user_api="blas"):
        strength = _choose(x, y, candidates, seed)
        *_, model = _path(x, y, [c for c in candidates if c <= strength])
    return scaler, model


def _choose(x, y, candidates, seed):
    """The candidate of the least held-out cross-entropy; the smallest one of equals."""
    from sklearn.model_selection import StratifiedKFold

    folds = min(5, np.unique(y, return_counts=True)[1].min())
    if len(candidates) == 1 or folds < 2:  # nothing to hold out
        return candidates[len(candidates) // 2]
    splits = StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, y)
    loss = np.zeros(len(candidates))
    for fold, (fit, held_out) in enumerate(splits):
        if fold > 0 and len(x) > 2000:
            break
        for index, model in enumerate(_path(x[fit], y[fit], candidates)):
            loss[index] += _cross_entropy(model, x[held_out], y[held_out])
    return candidates[int(np.argmin(loss))]


def _cross_entropy(model, x, y):
    """The mean of -log p(y), at the temperature of p at which it is least."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    # Not `predict_log_proba`: a probability that underflows makes it divide by zero.
    logits = model.decision_function(x)
    if logits.ndim == 1:  # of two classes, that of the second
        logits = np.stack([np.zeros_like(logits), logits], axis=1)
    of_y = np.arange(len(y)), np.searchsorted(model.classes_, y)

    def at(log_scale):
        # Not scikit-learn's `log_loss`, whose checks take longer than all the rest.
        return -np.mean(log_softmax(np.exp(log_scale) * logits, axis=1)[of_y])

    return minimize_scalar(at, bounds=(-7, 7), method="bounded").fun


def _path(x, y, candidates):
    """Yield the fitted model of each candidate, each started from the one before."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(max_iter=200, tol=3e-4, warm_start=True)
    for c in candidates:
        model.set_params(C=c)
        with warnings.catch_warnings():
            # Weakly regularised ends of the path stop early: that is early stopping.
            warnings.simplefilter("ignore", ConvergenceWarning)
            yield model.fit(x, y)
