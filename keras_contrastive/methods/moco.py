"""MoCo: momentum contrast, versions 1, 2 and 3 (He et al., 2020; Chen et al.)."""

import dataclasses
import functools

import keras

from keras_contrastive import distribute, recipes
from keras_contrastive.checks import check_share
from keras_contrastive.encoder_checks import unsynchronized_batch_norms
from keras_contrastive.layers.feature_queue import FeatureQueue
from keras_contrastive.layers.jigsaw import Jigsaw
from keras_contrastive.losses.info_nce_loss import InfoNCELoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class MoCo(ContrastiveModel):
    """A query finds its key among the keys of other images.

    q = projector(encoder(view_1)); k = the target's embedding of view_2, the target
    being a slow moving average of encoder and projector, so that keys of many steps
    are consistent. The loss is InfoNCE (equation 1), with j over the candidates:

    `l_i(q, k) = -log( exp(q_i.k_i/t) / sum_j exp(q_i.k_j/t) )`

    In versions 1 and 2 these are k_i and a long queue of keys of earlier batches;
    version 1 has a linear head and t = 0.07, version 2 a hidden layer and t = 0.2. In
    version 3 they are the keys of a large batch, the queries pass a predictor, and
    both views are query and key: `2t * mean_i(l_i(q_1, k_2) + l_i(q_2, k_1))`.

    Batch norm lets a network tell which images share its batch, and so cheat. The
    authors deal out the keys' images to the GPUs anew before they are encoded; so does
    this class on several replicas, with a queue and where the encoder's batch norm is
    per replica. With synchronised batch norm it would change nothing.

    InfoMin adds a query: the embedding of nine shuffled patches of a third view, which
    looks for the same key. Its own loss has the weight w then, the above 1 - w.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector, predictor: Layers; by default the version's.
        version: 1, 2 or 3.
        temperature: t > 0; by default the version's, in version 3 that of ResNets, 1.
            Small images and vision transformers take 0.2 there.
        queue_size: Number of earlier keys; by default 65,536, for ImageNet, and 0 in
            version 3: the candidates are the batch's keys. Small data sets take 4,096
            to 32,768, well below their size.
        symmetric: Whether both views are query and key; by default as the version.
        jigsaw_weight: w, in [0, 1]; 0 without patches, InfoMin's 0.5. The encoder then
            takes images of any size.
        patch_projector: Layer, the features of an image's patches `(batch, 9, dim)` to
            embeddings; by default that of `kc.PIRL`.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.MoCo(encoder, queue_size=4096)
        model.compile()
        model.fit(two_view_dataset, epochs=100)

    Reference: https://arxiv.org/abs/1911.05722 (2020), https://arxiv.org/abs/2003.04297
    (2020), https://arxiv.org/abs/2104.02057 (2021); InfoMin:
    https://arxiv.org/abs/2005.10243 (2020). The authors move the target before
    the keys of a step are encoded, here it moves after the optimizer: the keys of every
    step are the same.
    """

    versions = {
        1: recipes.MOCO_V1_IMAGENET,
        2: recipes.MOCO_V2_IMAGENET,
        3: recipes.MOCO_V3_IMAGENET,
    }
    needs = Needs(predictor=True)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        version: int = 2,
        temperature: float | None = None,
        queue_size: int | None = None,
        symmetric: bool | None = None,
        predictor: keras.layers.Layer | None = None,
        jigsaw_weight: float = 0.0,
        patch_projector: keras.layers.Layer | None = None,
        **kwargs,
    ):
        if version not in self.versions:
            *first, last = map(str, self.versions)
            raise ValueError(
                f"`version` must be {', '.join(first)} or {last}. "
                f"Received: version={version!r}"
            )
        self.version = version
        recipe = self.recipe = self.versions[version]  # its heads are built
        super().__init__(encoder, projector, predictor, target=True, **kwargs)
        paper = recipe.method_arguments
        self.temperature = paper["temperature"] if temperature is None else temperature
        self.queue_size = paper["queue_size"] if queue_size is None else queue_size
        self.symmetric = paper["symmetric"] if symmetric is None else symmetric
        self.paper_loss = InfoNCELoss(self.temperature)
        self.jigsaw_weight = check_share("jigsaw_weight", jigsaw_weight)
        self.jigsaw = self.patch_projector = None
        if self.jigsaw_weight:
            self.needs = dataclasses.replace(self.needs, min_views=3, max_views=3)
            self.jigsaw = Jigsaw()
            self.patch_projector = self.jigsaw.projector(
                encoder, self.embedding_dim, patch_projector
            )
        self.queue, self.shuffles_keys = None, False
        if self.queue_size:
            self.queue = FeatureQueue(self.queue_size, self.embedding_dim, name="queue")
            self.shuffles_keys = bool(unsynchronized_batch_norms(encoder))

    def default_loss(self):
        """Return InfoNCE at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """Queries q = f_q(x_q), and keys k = f_k(x_k) (algorithm 1)."""
        v_1, v_2, *puzzle = batch.views
        pairs = [(v_1, v_2), (v_2, v_1)] if self.symmetric else [(v_1, v_2)]
        features, queries = self.online([x_q for x_q, _ in pairs], training)
        if self.predictor is not None:
            queries = [self.predictor(q, training=training) for q in queries]
        f_k = functools.partial(self.target_embedding, training=training)
        if training and self.shuffles_keys:  # none shares its query's batch statistics
            f_k = functools.partial(distribute.on_shuffled, f_k, seed=batch.step)
        keys = [f_k(x_k) for _, x_k in pairs]
        outputs = {
            "features": features,
            "anchor": queries[0],
            "positive": keys[0],
            "pairs": list(zip(keys, queries, strict=True)),
        }
        if self.jigsaw:
            patches = self.jigsaw(*puzzle, seed=batch.step)
            network = functools.partial(self.jigsaw.features, self.encoder)
            (x,) = self.of_view(network, patches, training)
            outputs["puzzle"] = self.patch_projector(x, training=training)
        return outputs

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 1; in version 3 their sum times 2t."""
        queue = None if self.queue is None else self.queue.value
        losses = [self.loss((k, queue), q) for k, q in outputs["pairs"]]
        factor = 2 * self.temperature if self.version == 3 else 1 / len(losses)
        loss = factor * sum(losses)
        if self.jigsaw:
            of_puzzle = self.loss((outputs["positive"], queue), outputs["puzzle"])
            loss = (1 - self.jigsaw_weight) * loss + self.jigsaw_weight * of_puzzle
        return loss

    def after_step(self, outputs, batch, applied):
        """Enqueue the keys, after the loss, one view after the other."""
        if self.queue is not None:
            for keys, _ in outputs["pairs"]:
                self.queue.enqueue(keys, applied)

    def get_config(self):
        """Return the constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "version": self.version,
            "temperature": self.temperature,
            "queue_size": self.queue_size,
            "symmetric": self.symmetric,
            "jigsaw_weight": self.jigsaw_weight,
            "patch_projector": serialize(self.patch_projector),
        }
