"""Clusters of the whole data set, made between epochs."""

import keras

from keras_contrastive.checks import check_count
from keras_contrastive.evaluation.features import extract_features
from keras_contrastive.k_means import k_means
from keras_contrastive.layers.clustering import Clustering
from keras_contrastive.unit_vectors import l2_normalize


class ClusterFeatures(keras.callbacks.Callback):
    """Fills a method's `kc.layers.Clustering` layers before an epoch, as PCL does.

    All images are embedded in order, without augmentation and in inference mode, by the
    target network, or by encoder and projector where there is none; scikit-learn's
    k-means finds the clusters of each layer, above 100,000 images on a random sample in
    mini-batches. Row i of `images` is the example with the id i of the loader
    that the model trains on, made with `with_ids=True` of the same data.

    Clusters depend on the weights, the seed and the epoch alone, and are saved with the
    model: a run that resumes goes on as if it had never stopped.

    Args:
        images: All images in [0, 255], in order: an array, or a dataset, such as
            `kc.data.images_from_directory(...)`.
        first_epoch: Epoch, from 0, before which clusters are made first. PCL: 20, the
            embeddings are too young before that.
        every: Epochs between two clusterings.
        iterations: Steps of k-means, at most.
        restarts: Starts of k-means, of which the best counts.
        seed: Integer >= 0, of the starts.

    Raises:
        ImportError: scikit-learn is missing (`pip install "keras-contrastive[plots]"`).
        ValueError: If an argument is out of its range, or, when training begins, the
            model has no `Clustering`; when clusters are made, if there are not as many
            images as examples.

    Example:
        images = kc.data.images_from_directory("photos", image_size=224)
        clusters = kc.callbacks.ClusterFeatures(images, first_epoch=20)
        model.fit(views_with_ids, epochs=200, callbacks=[clusters])

    Reference:
        [Prototypical Contrastive Learning of Unsupervised Representations](
        https://arxiv.org/abs/2005.04966) (Li et al., 2021), algorithm 1.
    """

    def __init__(
        self, images, first_epoch=0, every=1, iterations=20, restarts=5, seed=0
    ):
        super().__init__()
        self.images = images
        self.first_epoch = first_epoch
        self.every = check_count("every", every)
        self.iterations = check_count("iterations", iterations)
        self.restarts = check_count("restarts", restarts)
        self.seed = seed
        if first_epoch < 0 or seed < 0:
            raise ValueError(
                "`first_epoch` and `seed` must be >= 0. Received: "
                f"first_epoch={first_epoch}, seed={seed}"
            )

    def on_train_begin(self, logs=None):
        """Find what is to be filled, and what embeds the images."""
        layers = self.model._flatten_layers(include_self=False)
        self._clusterings = [x for x in layers if isinstance(x, Clustering)]
        if not self._clusterings:
            raise ValueError(
                "ClusterFeatures fills the kc.layers.Clustering layers of a method. "
                f"Received: a {type(self.model).__name__}, which has none. Leave the "
                "callback out."
            )
        network = self.model if self.model.target is None else self.model.target
        images = network.encoder.inputs[0]
        self._embedder = keras.Model(images, network.projector(network.encoder(images)))

    def on_epoch_begin(self, epoch, logs=None):
        """Make clusters, if it is this epoch's turn."""
        since = epoch - self.first_epoch
        if since >= 0 and since % self.every == 0:
            self.cluster(epoch)

    def cluster(self, epoch: int) -> None:
        """Fill all clusterings of the model with those of its weights as they are."""
        points = extract_features(self._embedder, self.images)
        if isinstance(points, tuple):  # with labels
            points = points[0]
        points = keras.ops.convert_to_numpy(l2_normalize(points))
        for number, clustering in enumerate(self._clusterings):
            if len(points) != clustering.num_examples:
                raise ValueError(
                    f"`images` must be all {clustering.num_examples} examples of the "
                    f"data set, in the order of their ids. Received: {len(points)} "
                    "images. Give the whole training set, or build the model with "
                    "its `num_examples`."
                )
            clustering.fill(
                *k_means(
                    points,
                    clustering.num_clusters,
                    seed=(self.seed, epoch, number),
                    iterations=self.iterations,
                    restarts=self.restarts,
                )
            )
