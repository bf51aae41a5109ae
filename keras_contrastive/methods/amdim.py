"""AMDIM: augmented multiscale Deep InfoMax (Bachman et al., 2019)."""

import keras
from keras import ops

from keras_contrastive import distribute, recipes
from keras_contrastive.feature_maps import features_and_maps
from keras_contrastive.losses.amdim_loss import AMDIMLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel
from keras_contrastive.methods.places import flat, local_head


@keras.saving.register_keras_serializable(package="keras_contrastive")
class AMDIM(ContrastiveModel):
    """Features of one view find the places of the other view, at three pairs of scales.

    With g(a) the embedding of view a, f(a) and s(a) the embeddings of the places of its
    maps of 5 x 5 and 7 x 7, r(a) a random place of f(a), drawn for each image in every
    step, and NCE(x, y) the loss of x finding the places y among those of all images
    (`AMDIMLoss`), the loss is (section "Multiscale Mutual Information")

    `1/2 sum_{a != b} NCE(g(a), f(b)) + NCE(g(a), s(b)) + NCE(r(a), f(b))`

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features. The places of
            its maps should see parts of the image alone: `kc.encoders.amdim`.
        projector: Layer, features to g; by default none, as in the paper.
        maps: Names of the encoder's layers that give the maps of 5 x 5 and of 7 x 7, as
            in `kc.encoders.feature_maps`.
        local_projectors: Dict from these names to layers, a map to places as wide as g;
            by default a `kc.layers.ResidualHead` of 1x1 convolutions for each.
        clip: Largest score, positive; the paper's 20.
        regularization: Weight of the squared scores, >= 0; the authors' 0.05.
        num_classes, augmentation, concatenate_views: See `ContrastiveModel`. One
            forward per view is the default, as in the authors' code.

    Raises:
        ValueError: If an argument is out of range, the encoder has no such maps, or a
            local projector is not as wide as the projector.

    Example:
        encoder = kc.encoders.amdim(width=64, input_shape=(32, 32, 3))
        model = kc.recipes.AMDIM_SMALL.model(encoder)
        model.fit(two_view_dataset, epochs=100)

    Reference: Learning Representations by Maximizing Mutual Information Across Views
    (2019), https://arxiv.org/abs/1906.00910;
    https://github.com/Philip-Bachman/amdim-public. Mixture-based representations are
    not part of it, as in the authors' code.
    """

    recipe = recipes.AMDIM_SMALL
    needs = Needs()
    draws = True

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        maps: tuple[str, str] = ("map5", "map7"),
        local_projectors: dict[str, keras.layers.Layer] | None = None,
        clip: float = 20.0,
        regularization: float = 0.05,
        **kwargs,
    ):
        super().__init__(encoder, projector, **kwargs)
        self.map_names = _check_names(maps)
        self.paper_loss = AMDIMLoss(clip, regularization)
        self.maps = features_and_maps(encoder, self.map_names)
        given = _check_heads(local_projectors or {}, self.map_names)
        self.local_projectors = [
            local_head(
                *(given.get(name), shape, self.embedding_dim),
                name=f"local_projector{number}",
                hidden_norm=False,
                layer_norm=False,
                zero_init=True,
            )
            for number, name, shape in zip(
                (5, 7), self.map_names, self.maps.output_shape[1:], strict=True
            )
        ]

    def default_loss(self):
        """Return NCE with clipped scores."""
        return self.paper_loss

    def forward(self, batch, training):
        """g, f and s of both views."""

        def network(images):
            features, *maps = self.maps(images, training=training)
            heads = zip(self.local_projectors, maps, strict=True)
            places = [flat(head(x, training=training)) for head, x in heads]
            return features, self.projector(features, training=training), *places

        features, g, f, s = self._of_each(network, batch.views)
        outputs = {"features": features, "g": g, "f": f, "s": s}
        return {**outputs, "anchor": g[0], "positive": g[1]}

    def contrastive_loss(self, outputs, batch):
        """Return the loss of both directions, at three pairs of scales."""
        g, f, s = (outputs[key] for key in "gfs")
        r = self.random_places(f, batch.step)
        terms = [
            self.loss(f[b], g[a]) + self.loss(s[b], g[a]) + self.loss(f[b], r[a])
            for a, b in ((0, 1), (1, 0))
        ]
        return sum(terms) / 2

    def random_places(self, views, step):
        """Return a random place of each image, for each view `(batch, places, dim)`."""
        batch, places = ops.shape(views[0])[:2]
        numbers = distribute.uniform_rows(
            batch, (len(views),), seed=(2, step), maxval=places, dtype="int32"
        )
        return [
            ops.take_along_axis(x, numbers[:, i, None, None], axis=1)[:, 0]
            for i, x in enumerate(views)
        ]

    def get_config(self):
        """Return the constructor's arguments."""
        heads = dict(zip(self.map_names, self.local_projectors, strict=True))
        return {
            **super().get_config(),
            "maps": self.map_names,
            "local_projectors": keras.saving.serialize_keras_object(heads),
            "clip": self.paper_loss.clip,
            "regularization": self.paper_loss.regularization,
        }


def _check_names(maps):
    if isinstance(maps, str) or len(maps) != 2:
        raise ValueError(
            "`maps` must be two names of layers, of the map of 5 x 5 and that of "
            f"7 x 7, such as ('map5', 'map7'). Received: maps={maps!r}"
        )
    return list(maps)


def _check_heads(heads, names):
    if not isinstance(heads, dict) or not set(heads) <= set(names):
        raise ValueError(
            "`local_projectors` must be a dict from names of `maps` to layers. "
            f"Received: local_projectors={heads!r}, maps={names}"
        )
    return heads
