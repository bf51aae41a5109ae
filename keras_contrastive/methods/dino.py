"""DINO: self-distillation with no labels (Caron et al., 2021)."""

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.layers.running_mean import RunningMean
from keras_contrastive.losses.contrastive_loss import check_temperature
from keras_contrastive.losses.dino_loss import DINOLoss, teacher_distribution
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DINO(ContrastiveModel):
    """The online network says of small crops what its target says of large ones.

    g = projector(encoder(v)), scores of K units. The target sees the two large views;
    the online network, the student, sees these and any number of small ones:

    `P_t = softmax((g_target(v) - c) / t_m)`,  `P_s = softmax(g(v') / t)`,
    `loss = mean over v != v' of -sum_k P_t log P_s`   (equations 1 to 3)

    The centre c, a moving mean of the target's scores (equation 4), keeps one unit from
    winning everywhere, and the low t_m keeps all from being equal. `target_entropy`, in
    nats, shows either collapse, which the loss does not: it goes to 0, or to log K.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to scores; by default the `kc.layers.DINOHead` of
            the recipe for small images: 4,096 units, with batch norm.
        temperature: t > 0, the student's; the paper's 0.1.
        target_temperature: t_m > 0; 0.04 (default) is safe, and the authors' code's
            own default. The paper's ViTs rise to 0.07 over 30 epochs.
        warmup_temperature: t_m of the first epoch; the paper's 0.04.
        warmup_epochs: Epochs over which t_m rises from there, linearly, once an epoch;
            0 by default. No run may be shorter.
        center_momentum: How much of the old centre stays; the paper's 0.9.
        sinkhorn: Whether Sinkhorn-Knopp balances the target's scores of the global
            batch instead of the centre, as in DINOv2.
        freeze_epochs: Epochs in which the head's last layer is fixed; the paper's 1.
        local_views: Number of small views that the data must have, 8 in the paper;
            None (default) takes any.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. The views
            of one size pass as one batch by default, as in the authors' code.

    Example:
        encoder = kc.encoders.resnet(depth=18, input_shape=(32, 32, 3))
        model = kc.DINO(encoder)
        model.compile()
        model.fit(two_view_dataset, epochs=100)

    Reference: Emerging Properties in Self-Supervised Vision Transformers (2021),
    https://arxiv.org/abs/2104.14294. The authors' head sees the crops of all sizes as
    one batch, which matters where it has batch norm.
    """

    recipe = recipes.DINO_SMALL
    needs = Needs(max_views=None)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        temperature: float = 0.1,
        target_temperature: float = 0.04,
        warmup_temperature: float = 0.04,
        warmup_epochs: int = 0,
        center_momentum: float = 0.9,
        sinkhorn: bool = False,
        freeze_epochs: int = 1,
        local_views: int | None = None,
        concatenate_views: bool = True,
        **kwargs,
    ):
        kwargs["concatenate_views"] = concatenate_views
        super().__init__(encoder, projector, target=True, **kwargs)
        self.temperature = temperature
        self.target_temperature = check_temperature(
            "target_temperature", target_temperature
        )
        self.warmup_temperature = check_temperature(
            "warmup_temperature", warmup_temperature
        )
        self.warmup_epochs, self.freeze_epochs = warmup_epochs, freeze_epochs
        self.paper_loss = DINOLoss(temperature)
        self.center = RunningMean(self.embedding_dim, center_momentum, name="center")
        self.sinkhorn, self.local_views = sinkhorn, local_views
        epochs = max(warmup_epochs, int(freeze_epochs > 0))
        self.needs = self.needs.of_crops(local_views, min_epochs=epochs)
        self.track("target_entropy")

    def default_loss(self):
        """Return equation 3 at the student's temperature."""
        return self.paper_loss

    def forward(self, batch, training):
        """The student's scores of all views, the target's of the large ones."""
        features, student = self.online(batch.views, training)
        teacher = self.target_embeddings(batch.views[:2], training)
        scores = ops.stack(teacher, axis=1)  # (batch, 2, K)
        center = None if self.sinkhorn else self.center.value
        targets = scores, center, self.temperature_of(batch.epoch)
        p = teacher_distribution(*targets)
        entropy = -ops.sum(p * ops.log(ops.maximum(p, 1e-30)), axis=-1)
        return {
            "features": features,
            "anchor": student[0],
            "positive": teacher[1],
            "student": ops.stack(student, axis=1),  # (batch, views, K)
            "targets": targets,
            "target_entropy": ops.mean(entropy),
        }

    def contrastive_loss(self, outputs, batch):
        """Return the mean of equation 3 over the pairs of different views."""
        return self.loss(outputs["targets"], outputs["student"])

    def after_step(self, outputs, batch, applied):
        """Move the centre, after the loss (equation 4)."""
        scores, *_ = outputs["targets"]
        scores = ops.reshape(scores, (-1, self.embedding_dim))
        self.center.update(scores, applied)

    def adjust_gradients(self, gradients, batch):
        """Hold the last layer of a `DINOHead` fixed in the first epochs."""
        last = getattr(self.projector, "last_kernel", None)
        if last is None or not self.freeze_epochs:
            return gradients
        return self.held(gradients, last, batch.epoch < self.freeze_epochs)

    def temperature_of(self, epoch):
        """Return t_m of an epoch, counted from 0, a float32 scalar tensor."""
        if not self.warmup_epochs:
            return ops.convert_to_tensor(self.target_temperature, "float32")
        share = ops.cast(epoch, "float32") / max(self.warmup_epochs - 1, 1)
        rise = self.target_temperature - self.warmup_temperature
        return self.warmup_temperature + rise * ops.minimum(share, 1.0)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "temperature": self.temperature,
            "target_temperature": self.target_temperature,
            "warmup_temperature": self.warmup_temperature,
            "warmup_epochs": self.warmup_epochs,
            "center_momentum": self.center.momentum,
            "sinkhorn": self.sinkhorn,
            "freeze_epochs": self.freeze_epochs,
            "local_views": self.local_views,
        }
