"""SwAV: swapped assignments between views (Caron et al., 2020)."""

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.layers.feature_queue import FeatureQueue
from keras_contrastive.layers.prototypes import Prototypes
from keras_contrastive.losses.contrastive_loss import check_temperature
from keras_contrastive.losses.sinkhorn import sinkhorn
from keras_contrastive.losses.swav_loss import SwAVLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class SwAV(ContrastiveModel):
    """The code of one view, its cluster, is predicted from every other view.

    z = projector(encoder(v)), and the scores s = n(z) C^T are cosines with K trained
    prototypes C. Codes q of the two large views come from Sinkhorn-Knopp, which uses
    all prototypes about equally over the global batch; they carry no gradient:

    `q = sinkhorn(s / epsilon)`   (equation 3)

    `loss = mean over views a = 1, 2 and v != a of -sum_k q_ak log softmax_k(s_v / t)`
    (equations 2 and 6)

    Batches smaller than the number of prototypes need a queue: embeddings of earlier
    batches, one queue for each large view, are balanced with the batch.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's, one hidden
            layer of 2,048 with batch norm, and 128 dimensions.
        num_prototypes: K >= 2; the paper's 3,000.
        temperature: t > 0; the paper's 0.1.
        epsilon: Smoothness of the codes, > 0; the paper's 0.05, and 0.03 where the
            codes of different images become equal.
        iterations: Rounds of Sinkhorn-Knopp; the paper's 3.
        queue_size: Embeddings in each queue: the paper's 3,840 for batches of 256; 0
            (default) for no queue.
        queue_start_epoch: Epoch, from 0 on, from which codes use the queue; the
            authors' 15. It begins with random vectors, which earlier epochs replace.
        freeze_epochs: Epochs in which the prototypes stay as they are; the paper's 1.
        local_views: Number of small views that the data must have, 6 in the paper;
            None (default) takes any.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. The views
            of one size pass as one batch, as in the authors' code.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.recipes.SWAV_SMALL.model(encoder)
        model.fit(two_view_dataset, epochs=100)

    Reference: Unsupervised Learning of Visual Features by Contrasting Cluster
    Assignments (2020), https://arxiv.org/abs/2006.09882. Written from the formulas. The
    authors' queue begins to fill in its first epoch and is used once it is full.
    """

    recipe = recipes.SWAV_IMAGENET
    needs = Needs(max_views=None)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        num_prototypes: int = 3000,
        temperature: float = 0.1,
        epsilon: float = 0.05,
        iterations: int = 3,
        queue_size: int = 0,
        queue_start_epoch: int = 15,
        freeze_epochs: int = 1,
        local_views: int | None = None,
        concatenate_views: bool = True,
        **kwargs,
    ):
        kwargs["concatenate_views"] = concatenate_views
        super().__init__(encoder, projector, **kwargs)
        if num_prototypes < 2:
            raise ValueError(
                "Images are told apart by their prototypes: there must be at least 2. "
                f"Received: num_prototypes={num_prototypes}"
            )
        self.paper_loss = SwAVLoss(temperature)
        self.epsilon = check_temperature("epsilon", epsilon)
        self.iterations = iterations
        self.prototypes = Prototypes(num_prototypes, self.embedding_dim)
        self.queue_size, self.queue_start_epoch = queue_size, queue_start_epoch
        self.queues = [
            FeatureQueue(queue_size, self.embedding_dim, name=f"queue_{view}")
            for view in ((1, 2) if queue_size else ())
        ]
        self.freeze_epochs, self.local_views = freeze_epochs, local_views
        epochs = int(freeze_epochs > 0 or queue_size > 0)
        self.needs = self.needs.of_crops(local_views, min_epochs=epochs)

    def default_loss(self):
        """Return equation 2 at the model's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """Scores of all views, and codes of the two large ones."""
        features, z = self.online(batch.views, training)
        scores = [self.prototypes(embeddings) for embeddings in z]
        return {
            "features": features,
            "anchor": z[0],
            "positive": z[1],
            "scores": scores,
            "codes": [self.codes(scores[i], i, batch.epoch) for i in (0, 1)],
        }

    def codes(self, scores, view, epoch):
        """Return the codes of large view 0 or 1, from an epoch on with its queue."""
        codes = sinkhorn(scores, self.epsilon, self.iterations)
        if not self.queues:
            return codes
        earlier = self.prototypes(self.queues[view].value)
        with_queue = sinkhorn(scores, self.epsilon, self.iterations, shared=earlier)
        return ops.where(epoch >= self.queue_start_epoch, with_queue, codes)

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 2 over the pairs of a code and another view."""
        codes, scores = outputs["codes"], outputs["scores"]
        pairs = [(a, v) for a in (0, 1) for v in range(len(scores)) if v != a]
        return sum(self.loss(codes[a], scores[v]) for a, v in pairs) / len(pairs)

    def adjust_gradients(self, gradients, batch):
        """Hold the prototypes fixed in the first epochs."""
        frozen = batch.epoch < self.freeze_epochs
        return self.held(gradients, self.prototypes.directions, frozen)

    def after_step(self, outputs, batch, applied):
        """Give the prototypes length 1 again; enqueue the large views' embeddings."""
        self.prototypes.normalize()
        embeddings = outputs["anchor"], outputs["positive"]
        for queue, z in zip(self.queues, embeddings, strict=False):
            queue.enqueue(z, applied)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_prototypes": self.prototypes.num_prototypes,
            "temperature": self.paper_loss.temperature,
            "epsilon": self.epsilon,
            "iterations": self.iterations,
            "queue_size": self.queue_size,
            "queue_start_epoch": self.queue_start_epoch,
            "freeze_epochs": self.freeze_epochs,
            "local_views": self.local_views,
        }
