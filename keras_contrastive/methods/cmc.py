"""CMC: contrastive multiview coding (Tian et al., 2020)."""

import itertools

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.checks import check_count
from keras_contrastive.encoder_checks import check_encoder
from keras_contrastive.feature_maps import feature_maps
from keras_contrastive.layers.first_value import FirstValue
from keras_contrastive.layers.memory_bank import MemoryBank
from keras_contrastive.layers.part_heads import PartHeads
from keras_contrastive.losses.contrastive_loss import check_temperature
from keras_contrastive.losses.info_nce_loss import InfoNCELoss
from keras_contrastive.losses.nce_loss import NCELoss, estimate_z
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class CMC(ContrastiveModel):
    """Parts of one image, such as lightness and colour, find each other.

    Every part has an encoder, a head and a memory bank. With v the embeddings of part
    a, f_j the bank's vectors of part b, and n and K as in instance discrimination, the
    scores are `s_ij = v_i . f_j / t`, and

    `l_ab = -log P_ii / (P_ii + K/n) - sum_{j drawn} log (K/n) / (P_ij + K/n)`

    with `P = exp(s) / Z`, or the cross-entropy of the own entry among 1 + K. The loss
    is the sum of `l_ab` over all ordered pairs of parts (the full graph, section 3.4).
    Without a bank the candidates are the other part's embeddings of the batch, and l is
    InfoNCE.

    An image's features are those of all parts in a row: one encoder, for probes and for
    export. A dataset yields `((view,), {"id": ids})`, without a bank `((view,),)`.

    Args:
        encoder: `keras.Model` of `kc.encoders.side_by_side`, images in [0, 255] to
            features; for lightness and colour `kc.encoders.lightness_and_color`.
        projector: Layer, features of one part to embeddings; by default the paper's
            Dense(128). Each part has one of its own like it.
        parts: Names of the encoder's parts.
        num_examples: n, the number of examples in the data set; None for no bank.
        num_negatives: K; the paper's 16,384. The draws depend on the step alone.
        temperature: t > 0; the paper's 0.07.
        bank_momentum: How much of an old row stays, in [0, 1).
        nce: Whether l is the NCE form, or else the softmax form, of later code.
        num_classes, augmentation: See `ContrastiveModel`.

    Raises:
        ValueError: If the encoder has no such parts, or an argument is out of range.

    Example:
        policy = kc.augmentations.cmc(32)
        views = kc.data.views_from_arrays(images, augmentation=policy, with_ids=True)
        encoder = kc.encoders.lightness_and_color(
            lambda shape: kc.encoders.resnet(18, 32, input_shape=shape), (32, 32, 3))
        model = kc.CMC(encoder, num_examples=len(images), num_negatives=4096)
        model.compile()
        model.fit(views, epochs=100)

    Reference: Contrastive Multiview Coding (2020), https://arxiv.org/abs/1906.05849;
    https://github.com/HobbitLong/CMC.
    """

    recipe = recipes.CMC_IMAGENET
    needs = Needs(min_views=1, max_views=1, ids=True)
    draws = True

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        *,
        parts: tuple[str, ...] = ("lightness", "color"),
        num_examples: int | None = None,
        num_negatives: int = 16_384,
        temperature: float = 0.07,
        bank_momentum: float = 0.5,
        nce: bool = True,
        **kwargs,
    ):
        heads = _heads(projector, encoder, parts, self.recipe)
        super().__init__(encoder, heads, **kwargs)
        self.parts = tuple(parts)
        self.num_examples = num_examples
        self.num_negatives = check_count("num_negatives", num_negatives)
        self.temperature = check_temperature("temperature", temperature)
        self.bank_momentum, self.nce = bank_momentum, nce
        self.pairs = list(itertools.permutations(range(len(parts)), 2))
        self.banks, self.constants = [], []
        if num_examples is None:
            self.needs, self.draws = Needs(min_views=1, max_views=1), False
            return
        dim = self.embedding_dim // len(parts)
        self.banks = [
            MemoryBank(num_examples, dim, bank_momentum, name=f"{part}_bank")
            for part in parts
        ]
        self.constants = [
            FirstValue(name=f"{parts[a]}_{parts[b]}_constant") for a, b in self.pairs
        ]

    def default_loss(self):
        """Return the NCE form, cross-entropy, or without banks InfoNCE."""
        if not self.banks:
            return InfoNCELoss(self.temperature)
        if self.nce:
            return NCELoss(self.num_examples)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def forward(self, batch, training):
        """Embeddings of all parts; with banks the scores of each pair, and its Z."""
        features, (embeddings,) = self.online(batch.views, training)
        v = ops.split(embeddings, len(self.parts), axis=1)
        outputs = {"features": features, "anchor": v[0], "positive": v[1], "v": v}
        if self.banks:
            draw = self.banks[0].entries
            entries = draw(batch.ids, self.num_negatives, seed=batch.step)
            outputs["scores"] = [self.scores(v[a], b, entries) for a, b in self.pairs]
            estimates = [estimate_z(s, self.num_examples) for s in outputs["scores"]]
            outputs["Z"] = [
                c.of(z) for c, z in zip(self.constants, estimates, strict=True)
            ]
        return outputs

    def scores(self, v, part, entries):
        """Return `v_i . f_j / t` of one part's bank, the own entry first."""
        return self.banks[part].similarities(v, entries) / self.temperature

    def contrastive_loss(self, outputs, batch):
        """Return the sum over all ordered pairs of parts."""
        if not self.banks:
            v = outputs["v"]
            return sum(self.loss((v[b], None), v[a]) for a, b in self.pairs)
        own = ops.zeros_like(batch.ids)
        targets = outputs["Z"] if self.nce else [own] * len(self.pairs)
        return sum(map(self.loss, targets, outputs["scores"]))

    def after_step(self, outputs, batch, applied):
        """Remember the new embeddings of each part, and Z of the first step."""
        for bank, v in zip(self.banks, outputs["v"], strict=bool(self.banks)):
            bank.update(batch.ids, v, applied)
        for constant, z in zip(self.constants, outputs.get("Z", []), strict=True):
            constant.keep(z, applied)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "parts": list(self.parts),
            "num_examples": self.num_examples,
            "num_negatives": self.num_negatives,
            "temperature": self.temperature,
            "bank_momentum": self.bank_momentum,
            "nce": self.nce,
        }


def _heads(projector, encoder, parts, recipe):
    """Return a head for each part: `projector`, and others like it."""
    if isinstance(projector, PartHeads):
        return projector
    check_encoder(encoder)
    features = feature_maps(encoder, list(parts)).output
    sizes = [features[part].shape[-1] for part in parts]
    if len(parts) < 2 or sum(sizes) != encoder.output_shape[-1]:
        raise ValueError(
            "`parts` must name two or more parts of the encoder, all of its features. "
            f"Received: parts={tuple(parts)} of sizes {sizes}, and an encoder with "
            f"{encoder.output_shape[-1]} features. Build the encoder with "
            "kc.encoders.lightness_and_color or kc.encoders.side_by_side."
        )
    first = projector or recipe.new_projector(sizes[0])
    others = [type(first).from_config(first.get_config()) for _ in sizes[1:]]
    return PartHeads([first, *others], sizes, name="projector")
