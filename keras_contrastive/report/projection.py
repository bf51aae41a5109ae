"""Features in two dimensions, to look at."""

import importlib.util

import numpy as np


def project(features, seed: int) -> tuple[np.ndarray, str]:
    """Lay out features in a plane: UMAP if umap-learn is installed, else t-SNE.

    Args:
        features: `(n, dim)`, n >= 4.
        seed: Integer seed.

    Returns:
        Float array `(n, 2)`, and one sentence on how it was made.
    """
    if importlib.util.find_spec("umap"):
        from umap import UMAP

        count = min(15, len(features) - 1)
        umap = UMAP(n_neighbors=count, metric="cosine", random_state=seed, n_jobs=1)
        return umap.fit_transform(features), f"UMAP, {count} neighbours, seed {seed}"
    return (
        tsne(features, seed),
        f"t-SNE of the first {min(30, *np.shape(features))} principal components, "
        f"seed {seed}",
    )


def tsne(features, seed: int) -> np.ndarray:
    """Lay out features in a plane by t-SNE of their first principal components.

    Args:
        features: `(n, dim)`, n >= 4.
        seed: Integer seed.

    Returns:
        Float array `(n, 2)`.

    Raises:
        ImportError: scikit-learn is missing.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    x = np.asarray(features, "float64")
    x = PCA(min(30, *x.shape), random_state=seed).fit_transform(x)
    method = TSNE(
        random_state=seed,
        init="pca" if x[:, 0].std() > 0 else "random",  # PCA's is divided by it
        perplexity=min(30, (len(x) - 1) / 3),
    )
    # Its threads wait for one another a thousand times: where other work is running on
    # two cores, one thread was up to ten times as fast.
    with threadpool_limits(1, user_api="openmp"):
        return method.fit_transform(x)
