"""SCE: similarity contrastive estimation (Denize et al., 2023)."""

import keras

from keras_contrastive import recipes
from keras_contrastive.layers.feature_queue import FeatureQueue
from keras_contrastive.losses.sce_loss import SCELoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SCE(ContrastiveModel):
    """The online network learns the target's soft similarities between images.

    q = online embedding of a strong view, k = target embedding of the weak view, and
    keys of earlier batches in a queue. The target distribution mixes the positive with
    the similarities between different images, sharpened by a lower temperature:

    `s_ij = softmax_{j != i}(k_i . k_j / t_m)`,  `w_ij = c * 1[i = j] + (1 - c) * s_ij`,
    `loss = -mean_i sum_j w_ij log softmax_j(q_i . k_j / t)`   (equations 2 to 5)

    c = 1 is MoCo's InfoNCE, c = 0 purely relational.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's for small
            images, Dense(512) - BN - ReLU - Dense(128).
        predictor: Layer, embeddings to embeddings, online only. None for small images;
            the ImageNet recipe has one.
        temperature: t > 0 of the online similarities; the paper's 0.1.
        target_temperature: t_m > 0, below t: 0.05 (default) for small images, 0.07 for
            ImageNet.
        coefficient: c in [0, 1]; the paper's 0.5.
        queue_size: Keys kept from earlier batches: 4,096 (default) for small images,
            65,536 for ImageNet. None or 0: the other keys of the batch, of all
            replicas, take their place, which is the paper's formula.
        symmetric: False (default), as for small images: view_1, the weak one, goes to
            the target and the others to the online network. True: both ways, as in
            the ImageNet recipe.
        self_logit: What the positive's own column of s gets when there is a queue:
            `"masked"` (default, the paper) or `"zero"` (the authors' code: similarity
            0, so that it keeps some weight).
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default, as in the authors' code.

    More than two views are multi-crop: all views but the target's own pass the online
    network; those after the second may be smaller.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.SCE(encoder)
        model.compile()
        model.fit(weak_and_strong_views, epochs=200)

    Reference: Similarity Contrastive Estimation for Self-Supervised Soft Contrastive
    Learning (2023), https://arxiv.org/abs/2111.14585. Written from the paper's
    formulas. The authors' repository does not copy online to target at the start.
    """

    recipe = recipes.SCE_SMALL
    needs = Needs(max_views=None, predictor=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        predictor: keras.layers.Layer | None = None,
        temperature: float = 0.1,
        target_temperature: float = 0.05,
        coefficient: float = 0.5,
        queue_size: int | None = 4096,
        symmetric: bool = False,
        self_logit: str = "masked",
        num_classes: int | None = None,
        **kwargs,
    ):
        super().__init__(
            encoder,
            projector,
            predictor,
            target=True,
            num_classes=num_classes,
            **kwargs,
        )
        self.temperature = temperature
        self.target_temperature = target_temperature
        self.coefficient = coefficient
        self.symmetric = symmetric
        self.self_logit = self_logit
        self.paper_loss = SCELoss(
            temperature, target_temperature, coefficient, self_logit=self_logit
        )
        self.queue_size = queue_size
        self.queue = None
        if queue_size:
            self.queue = FeatureQueue(queue_size, self.embedding_dim, name="queue")

    def default_loss(self):
        """Return SCE at the model's temperatures and coefficient."""
        return self.paper_loss

    def forward(self, batch, training):
        """Queries of the online network and keys of the target."""
        views = batch.views
        key_views = views[:2] if self.symmetric else views[:1]
        query_views = views if self.symmetric else views[1:]
        features, queries = self.online(query_views, training)
        if self.predictor is not None:
            queries = [self.predictor(q, training=training) for q in queries]
        keys = self.target_embeddings(key_views, training)
        first = len(views) - len(queries)  # number of the first query's view
        pairs = [
            (k, q)
            for i, k in enumerate(keys)
            for j, q in enumerate(queries, first)
            if i != j
        ]
        return {
            "features": features,
            "anchor": pairs[0][1],
            "positive": pairs[0][0],
            "pairs": pairs,
            "keys": keys,
        }

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 5 over all (target view, online view) pairs."""
        queue = None if self.queue is None else self.queue.value
        losses = [self.loss((k, queue), q) for k, q in outputs["pairs"]]
        return sum(losses) / len(losses)

    def after_step(self, outputs, batch, applied):
        """Enqueue the keys, after the loss, one view after the other."""
        if self.queue is not None:
            for keys in outputs["keys"]:
                self.queue.enqueue(keys, applied)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "target_temperature": self.target_temperature,
            "coefficient": self.coefficient,
            "queue_size": self.queue_size,
            "symmetric": self.symmetric,
            "self_logit": self.self_logit,
        }
