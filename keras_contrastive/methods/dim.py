"""DIM: Deep InfoMax (Hjelm et al., 2019)."""

import math

import keras
from keras import ops

from keras_contrastive import distribute, recipes
from keras_contrastive.checks import check_count, check_not_negative
from keras_contrastive.feature_maps import features_and_maps
from keras_contrastive.layers.built import built
from keras_contrastive.layers.gradient_reversal import GradientReversal
from keras_contrastive.layers.projection_head import ProjectionHead
from keras_contrastive.losses.dim_loss import DIMLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel
from keras_contrastive.methods.places import flat, local_head


@keras.saving.register_keras_serializable(package="keras_contrastive")
class DIM(ContrastiveModel):
    """An image's embedding tells the places of its own map from those of others.

    With m the embedding of an image, l the embeddings of the places of a feature map,
    g that of the whole map, and D the negative mutual information (`DIMLoss`), the loss
    is (equation 8)

    `alpha D(m, g) + beta D(m, l) + gamma P`

    P matches the features to a prior (equation 7). A code y = sigmoid(dense(features))
    should be uniform in [0, 1]^d: a discriminator T, whose scores are logits, tells it
    from uniform samples u, drawn anew in every step,

    `P = mean softplus(-T(u)) + mean softplus(T(y))`

    T lowers P, and the encoder raises it: the gradient is reversed between the two. A
    term of weight 0 has no layers. DIM(L), the default, is (0, 1, 0.1), and DIM(G) is
    (1, 0, 1).

    There is one view; the metrics compare m with the mean of its own places, or with g.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features.
        projector: Layer, features to m; by default `kc.layers.ResidualHead(2048)`.
        local_projector: Layer, a map `(batch, height, width, channels)` to l, as wide
            as m; by default a `ResidualHead`, a network of 1x1 convolutions.
        local_map: Name of the encoder's layer whose map is compared, as in
            `kc.encoders.feature_maps`; the authors' has 8 x 8 places.
        global_weight: alpha >= 0. g is a dense layer of the whole map, whose size must
            be known then.
        local_weight: beta >= 0; one of the two must be positive.
        prior_weight: gamma >= 0.
        prior_units: d; the paper's features have 64.
        discriminator: Layer, `(batch, d)` to scores `(batch, 1)`; by default the
            paper's hidden layers of 1,000 and 200.
        estimator: `"jsd"` or `"infonce"`, see `DIMLoss`.
        num_classes, augmentation: See `ContrastiveModel`.

    Raises:
        ValueError: If an argument is out of range, the encoder has no such map, or
            `local_projector` is not as wide as the projector.

    Example:
        policy = kc.augmentations.dim(32)
        views = kc.data.views_from_arrays(images, augmentation=policy)
        model = kc.DIM(kc.encoders.resnet(depth=18, input_shape=(32, 32, 3)))
        model.compile()
        model.fit(views, epochs=100)

    Reference: Learning deep representations by mutual information estimation and
    maximization (2019), https://arxiv.org/abs/1808.06670;
    https://github.com/rdevon/DIM. There the features themselves are the code, of a
    linear layer; here features lie behind a ReLU, so the code has a dense layer. The
    authors' encoder has the non-saturating loss against T, here it is the minimax.
    """

    recipe = recipes.DIM_SMALL
    needs = Needs(min_views=1, max_views=1)
    draws = True

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        local_projector: keras.layers.Layer | None = None,
        local_map: str = "conv4",
        global_weight: float = 0.0,
        local_weight: float = 1.0,
        prior_weight: float = 0.1,
        prior_units: int = 64,
        discriminator: keras.layers.Layer | None = None,
        estimator: str = "jsd",
        **kwargs,
    ):
        super().__init__(encoder, projector, **kwargs)
        self.local_map = local_map
        self.global_weight = check_not_negative("global_weight", global_weight)
        self.local_weight = check_not_negative("local_weight", local_weight)
        self.prior_weight = check_not_negative("prior_weight", prior_weight)
        self.prior_units = check_count("prior_units", prior_units)
        self.estimator = DIMLoss(estimator).estimator
        if global_weight == local_weight == 0:
            raise ValueError(
                "`global_weight` or `local_weight` must be positive: the prior alone "
                "teaches nothing about images. Received: global_weight=0, "
                "local_weight=0."
            )
        self.maps = features_and_maps(encoder, [local_map])
        (_, dim), places = self.maps.output_shape
        self.local_projector = self.summary = self.code = self.discriminator = None
        if local_weight:
            self.local_projector = local_head(
                local_projector, places, self.embedding_dim, "local_projector"
            )
        if global_weight:
            self.summary = keras.layers.Dense(self.embedding_dim, name="summary")
            self.summary.build((None, _size(places)))
        if prior_weight:
            self.track("prior_loss")
            self.code = keras.layers.Dense(prior_units, "sigmoid", name="code")
            self.code.build((None, dim))
            self.reversal = GradientReversal(name="reversal")
            discriminator = discriminator or ProjectionHead(
                *(1, (1000, 200)),
                hidden_bias=True,
                hidden_norm=False,
                output_bias=True,
                name="discriminator",
            )
            self.discriminator = built(discriminator, (None, prior_units))

    def default_loss(self):
        """Return the negative mutual information, equation 4 or 5."""
        return DIMLoss(self.estimator)

    def forward(self, batch, training):
        """m, and what it is compared with: places l, the whole map g, or both."""
        features, places = self.of_view(self.maps, batch.views[0], training)
        m = self.projector(features, training=training)
        outputs = {"features": [features], "anchor": m}
        if self.summary:
            rows = ops.reshape(places, (ops.shape(places)[0], -1))
            outputs["g"] = outputs["positive"] = self.summary(rows)
        if self.local_projector:
            outputs["l"] = flat(self.local_projector(places, training=training))
            outputs["positive"] = ops.mean(outputs["l"], axis=1)
        if self.discriminator:
            outputs["prior_loss"] = self.prior_loss(features, batch.step)
        return outputs

    def prior_loss(self, features, step):
        """P: how well codes are told from uniform samples; the encoder raises it."""
        y = self.code(features)
        shape = ops.shape(features)[0], (self.prior_units,)
        u = distribute.uniform_rows(*shape, seed=(1, step))
        of_prior, of_images = (
            ops.cast(self.discriminator(x), "float32") for x in (u, self.reversal(y))
        )
        return ops.mean(ops.softplus(-of_prior)) + ops.mean(ops.softplus(of_images))

    def contrastive_loss(self, outputs, batch):
        """Return equation 8."""
        loss, m = 0.0, outputs["anchor"]
        if self.summary:
            loss += self.global_weight * self.loss(m, outputs["g"][:, None])
        if self.local_projector:
            loss += self.local_weight * self.loss(m, outputs["l"])
        if self.discriminator:
            share = outputs["prior_loss"] / distribute.num_replicas()
            loss += self.prior_weight * share
        return loss

    def get_config(self):
        """Return the constructor's arguments."""
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "local_projector": serialize(self.local_projector),
            "local_map": self.local_map,
            "global_weight": self.global_weight,
            "local_weight": self.local_weight,
            "prior_weight": self.prior_weight,
            "prior_units": self.prior_units,
            "discriminator": serialize(self.discriminator),
            "estimator": self.estimator,
        }


def _size(map_shape):
    """The number of values of a map, if it is known."""
    if None in map_shape[1:]:
        raise ValueError(
            "`global_weight` needs an encoder with a fixed image size: a dense layer "
            f"takes the whole map. Received: a map of shape {tuple(map_shape)}. Set "
            "`input_shape`, or global_weight=0."
        )
    return math.prod(map_shape[1:])
