"""MoCo: momentum contrast, versions 1 and 2 (He et al., 2020; Chen et al., 2020)."""

import functools

import keras

from keras_contrastive import distribute, recipes
from keras_contrastive.encoder_checks import check_encoder, unsynchronized_batch_norms
from keras_contrastive.layers.feature_queue import FeatureQueue
from keras_contrastive.losses.info_nce_loss import InfoNCELoss
from keras_contrastive.methods.contrastive_model import ContrastiveModel

_RECIPES = {1: recipes.MOCO_V1_IMAGENET, 2: recipes.MOCO_V2_IMAGENET}


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MoCo(ContrastiveModel):
    """A query finds its key among a long queue of keys of earlier batches.

    q = projector(encoder(view_1)); k = the target's embedding of view_2, the target
    being a slow moving average of encoder and projector, so that the keys in the queue
    are consistent. The loss is InfoNCE (equation 1 of MoCo):

    `l_i = -log( exp(q_i.k_i/t) / (exp(q_i.k_i/t) + sum_{n in queue} exp(q_i.n/t)) )`

    Version 1 has a linear head and t = 0.07, version 2 a hidden layer and t = 0.2;
    momentum is 0.999 throughout in both.

    Batch norm lets a network tell which images share its batch, and so cheat. The
    authors deal out the keys' images to the GPUs anew before they are encoded; so does
    this class on several replicas, if the encoder's batch norm is per replica. With
    synchronised batch norm it would change nothing.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the version's head.
        version: 1 or 2.
        temperature: t > 0; by default the version's.
        queue_size: Number of earlier keys; 65,536 (default) for ImageNet, 4,096 to
            32,768 for small data sets. It should be well below their size.
        symmetric: Whether both views are query and key in turn; the papers' are not.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.MoCo(encoder, queue_size=4096)
        model.compile()
        model.fit(two_view_dataset, epochs=100)

    Reference: Momentum Contrast for Unsupervised Visual Representation Learning (2020),
    https://arxiv.org/abs/1911.05722; Improved Baselines with Momentum Contrastive
    Learning (2020), https://arxiv.org/abs/2003.04297. The authors move the target
    before the keys of a step are encoded, here it moves after the optimizer: the keys
    of every step are the same.
    """

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        version: int = 2,
        temperature: float | None = None,
        queue_size: int = 65536,
        symmetric: bool = False,
        **kwargs,
    ):
        if version not in _RECIPES:
            raise ValueError(f"`version` must be 1 or 2. Received: version={version!r}")
        recipe = _RECIPES[version]
        projector = projector or recipe.new_projector(check_encoder(encoder))
        super().__init__(encoder, projector, target=True, **kwargs)
        self.recipe = recipe
        self.version = version
        paper = recipe.method_arguments["temperature"]
        self.temperature = paper if temperature is None else temperature
        self.paper_loss = InfoNCELoss(self.temperature)
        self.queue_size = queue_size
        self.queue = FeatureQueue(queue_size, self.embedding_dim, name="queue")
        self.symmetric = symmetric
        self.shuffles_keys = bool(unsynchronized_batch_norms(encoder))

    def default_loss(self):
        """Return InfoNCE at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """Queries q = f_q(x_q), and keys k = f_k(x_k) (algorithm 1)."""
        v_1, v_2 = batch.views
        pairs = [(v_1, v_2), (v_2, v_1)] if self.symmetric else [(v_1, v_2)]
        features, queries = self.online([x_q for x_q, _ in pairs], training)
        f_k = functools.partial(self.target, training=training)
        if training and self.shuffles_keys:  # none shares its query's batch statistics
            f_k = functools.partial(distribute.on_shuffled, f_k, seed=batch.step)
        keys = [f_k(x_k) for _, x_k in pairs]
        return {
            "features": features,
            "anchor": queries[0],
            "positive": keys[0],
            "pairs": list(zip(keys, queries, strict=True)),
        }

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 1."""
        losses = [self.loss((k, self.queue.value), q) for k, q in outputs["pairs"]]
        return sum(losses) / len(losses)

    def after_step(self, outputs, batch, applied):
        """Enqueue the keys, after the loss, one view after the other."""
        for keys, _ in outputs["pairs"]:
            self.queue.enqueue(keys, applied)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "version": self.version,
            "temperature": self.temperature,
            "queue_size": self.queue_size,
            "symmetric": self.symmetric,
        }
