"""Instance discrimination with a memory bank (Wu et al., 2018)."""

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.checks import check_count
from keras_contrastive.layers.first_value import FirstValue
from keras_contrastive.layers.memory_bank import MemoryBank
from keras_contrastive.losses.contrastive_loss import check_temperature
from keras_contrastive.losses.nce_loss import NCELoss, estimate_z
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class InstanceDiscrimination(ContrastiveModel):
    """Every image is a class of its own; a memory bank holds a vector for each.

    With v the embedding of an image, f_j the bank's vectors, n examples and K of them
    drawn uniformly as noise, the scores are `s_ij = v_i . f_j / t`. In the NCE form
    (equations 4 to 7) the own entry is told from noise by `P = exp(s) / Z`:

    `l_i = -log P_ii / (P_ii + K/n) - sum_{j drawn} log (K/n) / (P_ij + K/n)`

    Z is n times the mean of exp(s) over the first batch, constant from then on. In the
    softmax form, of later code, it is the cross-entropy of the own entry among 1 + K.
    After the step the rows of the batch move towards the new embeddings.

    A dataset yields `((view,), {"id": ids})`, ids from 0 to n - 1. `evaluate` looks
    examples up in the bank, and so makes sense for those of training alone.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to embeddings; by default the paper's Dense(128).
        num_examples: n, the number of examples in the data set.
        num_negatives: K; the paper's 4,096. The draws depend on the step alone.
        temperature: t > 0; the paper's 0.07.
        bank_momentum: How much of an old row stays, in [0, 1).
        nce: Whether the loss is the NCE form, or else the softmax form.
        num_classes, augmentation: See `ContrastiveModel`.

    Example:
        policy = kc.augmentations.instance_discrimination(32)
        views = kc.data.views_from_arrays(images, augmentation=policy, with_ids=True)
        model = kc.InstanceDiscrimination(encoder, num_examples=len(images))
        model.compile()
        model.fit(views, epochs=100)

    Reference: Unsupervised Feature Learning via Non-Parametric Instance Discrimination
    (2018), https://arxiv.org/abs/1805.01978. The proximal term of section 3.3 is not
    part of it, as in later code.
    """

    recipe = recipes.INSTANCE_DISCRIMINATION_IMAGENET
    needs = Needs(min_views=1, max_views=1, ids=True)
    draws = True

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        *,
        num_examples: int,
        num_negatives: int = 4096,
        temperature: float = 0.07,
        bank_momentum: float = 0.5,
        nce: bool = True,
        **kwargs,
    ):
        super().__init__(encoder, projector, **kwargs)
        self.num_examples = num_examples
        self.num_negatives = check_count("num_negatives", num_negatives)
        self.temperature = check_temperature("temperature", temperature)
        self.nce = nce
        self.bank = MemoryBank(num_examples, self.embedding_dim, bank_momentum)
        self.constant = FirstValue(name="constant")  # Z

    def default_loss(self):
        """Return the NCE form, or cross-entropy."""
        if self.nce:
            return NCELoss(self.num_examples)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def forward(self, batch, training):
        """s_ij = v_i . f_j / t, the own entry first."""
        features, (embeddings,) = self.online(batch.views, training)
        scores = self.scores(embeddings, batch)
        return {
            "features": features,
            "anchor": embeddings,
            "positive": self.bank.rows(batch.ids),
            "scores": scores,
            "Z": self.constant.of(estimate_z(scores, self.num_examples)),
        }

    def scores(self, embeddings, batch):
        """Return `v_i . f_j / t`, `(n, 1 + K)`: with the own entry, then with noise."""
        entries = self.bank.entries(batch.ids, self.num_negatives, seed=batch.step)
        return self.bank.similarities(embeddings, entries) / self.temperature

    def contrastive_loss(self, outputs, batch):
        """Return the mean over the batch."""
        return self.of_scores(outputs["scores"], outputs["Z"])

    def of_scores(self, scores, Z):
        """Return the NCE form, or the cross-entropy of the own entry."""
        own = ops.zeros(ops.shape(scores)[:1], "int32")
        return self.loss(Z if self.nce else own, scores)

    def after_step(self, outputs, batch, applied):
        """Remember the new embeddings, and Z of the first step."""
        self.bank.update(batch.ids, outputs["anchor"], applied)
        self.constant.keep(outputs["Z"], applied)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "num_examples": self.num_examples,
            "num_negatives": self.num_negatives,
            "temperature": self.temperature,
            "bank_momentum": self.bank.momentum,
            "nce": self.nce,
        }
