"""Pictures of a training: what the network saw, and what it made of it.

Every function returns a `matplotlib.figure.Figure`, without touching pyplot's state.
"""

import numpy as np

from keras_contrastive.report.projection import tsne


def plot_views(images, views, rows: int = 8):
    """Show images and the views that the network saw of them.

    Args:
        images: Array `(n, height, width, channels)` in [0, 255].
        views: Tuple of arrays `(n, height, width, channels)` in [0, 255].
        rows: Number of images shown.

    Returns:
        A figure with one image a row, its views beside it.
    """
    columns = [images, *views]
    titles = ["image", *(f"view {i}" for i in range(1, len(columns)))]
    rows = min(rows, len(images))
    figure, axes = _grid(rows, len(columns))
    for column, (batch, title) in enumerate(zip(columns, titles, strict=True)):
        axes[0, column].set_title(title, fontsize=9)
        for row in range(rows):
            _show(axes[row, column], np.asarray(batch[row]))
    return figure


def plot_neighbors(
    query_images, query_features, images, features, labels=None, rows=8, k=8
):
    """Show test images and their nearest neighbours by cosine similarity.

    Args:
        query_images: Array `(q, height, width, channels)` in [0, 255].
        query_features: Array `(q, dim)`.
        images: Array `(n, height, width, channels)` to search in.
        features: Array `(n, dim)`.
        labels: Optional pair `(query_labels, labels)` of class ids: neighbours of
            another class get a red frame.
        rows: Number of queries shown, the first ones.
        k: Number of neighbours shown.

    Returns:
        A figure with one query a row, nearest first.
    """
    rows = min(rows, len(query_images))
    similarity = _unit(query_features[:rows]) @ _unit(features).T  # (rows, n)
    found = np.argsort(-similarity, axis=1)[:, :k]
    figure, axes = _grid(rows, k + 1)
    axes[0, 0].set_title("query", fontsize=9)
    axes[0, 1].set_title("nearest", fontsize=9)
    if labels is not None:
        axes[0, -1].set_title("red: other class", fontsize=9, loc="right")
    for row in range(rows):
        _show(axes[row, 0], query_images[row])
        for column, index in enumerate(found[row], start=1):
            wrong = labels is not None and labels[0][row] != labels[1][index]
            _show(axes[row, column], images[index], frame="tab:red" if wrong else None)
    return figure


def plot_embedding_map(features: dict, labels, class_names=None, seed: int = 0):
    """Show features in two dimensions (t-SNE), one panel for each entry.

    Args:
        features: Name of the panel to array `(n, dim)`, such as
            `{"before": ..., "after": ...}`.
        labels: Class ids `(n,)`, the colours.
        class_names: Optional names for the legend.
        seed: Seed of t-SNE.

    Returns:
        A figure. Distances between clusters mean little in t-SNE; neighbourhoods do.
    """
    figure = _figure(5 * len(features) + 1.6, 5)
    axes = np.atleast_1d(figure.subplots(1, len(features)))
    labels = np.asarray(labels)
    for axis, (name, x) in zip(axes, features.items(), strict=True):
        points = tsne(x, seed)
        for index in np.unique(labels):
            name_of = str(index) if class_names is None else class_names[index]
            of_class = points[labels == index]
            axis.scatter(*of_class.T, s=6, color=f"C{index % 10}", label=name_of)
        axis.set_title(name)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[-1].legend(
        fontsize=8,
        markerscale=3,
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    return figure


def plot_curves(history: dict, reference: dict | None = None):
    """Show loss, contrastive accuracy, embedding spread and kNN over the epochs.

    Args:
        history: `keras.callbacks.History.history`; lists shorter than the loss's are
            taken to be evaluated at equal distances, up to the last epoch.
        reference: Optional horizontal lines of the last panel, name to value.

    Returns:
        A figure with one panel for each known curve.
    """
    known = {
        "loss": "contrastive loss",
        "contrastive_accuracy": "contrastive accuracy",
        "embedding_std": "embedding standard deviation",
        "knn_accuracy": "kNN accuracy",
    }
    names = [name for name in known if name in history]
    figure = _figure(3.6 * len(names), 3)
    axes = np.atleast_1d(figure.subplots(1, len(names)))
    epochs = len(history["loss"])
    for axis, name in zip(axes, names, strict=True):
        values = history[name]
        every = epochs / len(values)
        axis.plot([(i + 1) * every for i in range(len(values))], values, marker=".")
        axis.set_title(known[name], fontsize=10)
        axis.set_xlabel("epoch")
        axis.grid(alpha=0.3)
    for label, value in (reference or {}).items():
        axes[-1].axhline(value, linestyle="--", color="gray")
        axes[-1].annotate(label, (1, value), fontsize=8, va="bottom")
    return figure


def _unit(x):
    x = np.asarray(x, "float32")
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def _figure(width, height):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "Figures need matplotlib and scikit-learn: "
            'pip install "keras-contrastive[plots]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained", dpi=110)


def _grid(rows, columns):
    figure = _figure(columns * 0.9, rows * 0.9 + 0.2)
    return figure, figure.subplots(rows, columns, squeeze=False)


def _show(axis, image, frame=None):
    image = np.clip(np.asarray(image, "float32") / 255.0, 0.0, 1.0)
    axis.imshow(image.squeeze(), cmap="gray", vmin=0.0, vmax=1.0)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(frame is not None)
        spine.set_color(frame)
        spine.set_linewidth(2)
