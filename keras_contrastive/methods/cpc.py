"""CPC: contrastive predictive coding on a grid of patches (2018; version 2, 2019)."""

import keras
from keras import ops

from keras_contrastive import recipes
from keras_contrastive.checks import check_count, check_not_negative
from keras_contrastive.feature_maps import features_and_maps
from keras_contrastive.layers.built import built
from keras_contrastive.layers.causal_context import CausalConvolutions
from keras_contrastive.losses.cpc_loss import CPCLoss
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


@keras.saving.register_keras_serializable(package="keras_contrastive")
class CPC(ContrastiveModel):
    """What stands above in an image predicts the patches below: one view, no pair.

    An image is a grid of overlapping patches with features `g_rw`. The projector makes
    targets `z_rw` of them, each by itself, and the context network makes `c_rw`, which
    knows rows <= r alone. For each offset o a matrix W_o predicts o rows down, and the
    prediction has to find its patch among those of all images of the batch:

        p_rw = s W_o c_rw
        l_o = -mean_{i, r, w} log( exp(p_irw . z_i,r+o,w) / sum_c exp(p_irw . z_c) )

    (equation 4). The loss is the mean over the offsets. Nothing is normalised.

    Overlapping patches share pixels: an offset whose patches overlap the context's is
    easily met without knowing what the image shows. Batch norm in the encoder, too,
    tells which patches come from one image: take layer norm, as version 2 does.

    Args:
        encoder: Functional `keras.Model`, images in [0, 255] to features, such as
            `kc.encoders.of_patches` makes it. Layers behind the grid are not trained.
        projector: Layer, features of a patch to its target; by default version 2's
            Dense(64).
        context: Layer, `(batch, H, W, D)` to `(batch, H, W, any)`, that sees no row
            below; by default `kc.layers.CausalConvolutions()`, or, for example,
            `kc.layers.ColumnGRU(256)`. As in version 2 it reads the features, not the
            smaller targets.
        grid: Name of the encoder's layer with the features of the patches, `(batch, H,
            W, D)`, as in `kc.encoders.feature_maps`.
        offsets: How many rows below the context the predicted patches are, each in
            [1, H - 1]. Version 1 has 1 to 5; the listing of version 2 has 3 alone,
            the default, which needs 4 rows.
        candidates: `"all"` patches, or those of the predicted rows; see `CPCLoss`.
        scale: s >= 0, which keeps predictions short at the start; version 2 has 0.1,
            version 1 has none (1).
        num_classes, augmentation: See `ContrastiveModel`.

    `contrastive_accuracy` is the share of predictions of the first offset whose own
    patch is the most similar one of the batch, `embedding_std` the predictions' spread.

    Raises:
        ValueError: A layer that the encoder has not, or whose output is no grid of
            known size; offsets that do not fit on it.

    Example:
        patches = kc.encoders.resnet(
            depth=10, input_shape=(8, 8, 3), norm=keras.layers.LayerNormalization
        )
        encoder = kc.encoders.of_patches(patches, stride=4, input_shape=(32, 32, 3))
        views = kc.data.views_from_arrays(images, augmentation=kc.augmentations.cpc(32))
        model = kc.recipes.CPC_SMALL.model(encoder)
        model.fit(views, epochs=100)

    Reference: Representation Learning with Contrastive Predictive Coding (2018),
    https://arxiv.org/abs/1807.03748; Data-Efficient Image Recognition with Contrastive
    Predictive Coding (2019), https://arxiv.org/abs/1905.09272, whose four directions
    are one here: down.
    """

    recipe = recipes.CPC_IMAGENET
    needs = Needs(min_views=1, max_views=1)

    def __init__(
        self,
        encoder: keras.Model,
        projector: keras.layers.Layer | None = None,
        context: keras.layers.Layer | None = None,
        grid: str = "grid",
        offsets: tuple[int, ...] = (3,),
        candidates: str = "all",
        scale: float = 0.1,
        **kwargs,
    ):
        maps = features_and_maps(encoder, [grid])
        shape = _check_grid(grid, maps.output_shape[1])
        # Of the features of a patch, not of an image.
        projector = projector or self.default_projector(shape[-1])
        super().__init__(encoder, built(projector, (None, shape[-1])), **kwargs)
        self.maps, self.grid = maps, grid
        self.offsets = _check_offsets(offsets, shape[1])
        self.paper_loss = CPCLoss(candidates)
        self.scale = check_not_negative("scale", scale)
        self.context = built(context or CausalConvolutions(name="context"), shape)
        self.steps = [
            keras.layers.Dense(self.embedding_dim, use_bias=False, name=f"step{offset}")
            for offset in self.offsets
        ]
        for step in self.steps:
            step.build(self.context.compute_output_shape(shape))

    def default_loss(self):
        """Return equation 4 for one offset."""
        return self.paper_loss

    def forward(self, batch, training):
        """Targets z, and for each offset the predictions p_rw of z_r+o,w."""
        # g: (n, H, W, D)
        features, g = self.of_view(self.maps, batch.views[0], training)
        z = self.projector(ops.reshape(g, (-1, g.shape[-1])), training=training)
        z = ops.reshape(z, (-1, *g.shape[1:3], self.embedding_dim))
        c = self.context(g, training=training)
        predictions = [
            self.scale * step(c[:, :-offset])
            for offset, step in zip(self.offsets, self.steps, strict=True)
        ]
        of_first = z[:, self.offsets[0] :]
        return {
            "features": [features],
            "anchor": ops.reshape(predictions[0], (-1, self.embedding_dim)),
            "positive": ops.reshape(of_first, (-1, self.embedding_dim)),
            "z": z,
            "predictions": predictions,
        }

    def contrastive_loss(self, outputs, batch):
        """Return the mean of l_o over the offsets."""
        losses = [self.loss(outputs["z"], p) for p in outputs["predictions"]]
        return sum(losses) / len(losses)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "context": keras.saving.serialize_keras_object(self.context),
            "grid": self.grid,
            "offsets": list(self.offsets),
            "candidates": self.paper_loss.candidates,
            "scale": self.scale,
        }


def _check_grid(name, shape):
    """Return the shape of the map if it is a grid of patches of known size."""
    if len(shape) != 4 or None in shape[1:]:
        raise ValueError(
            "`grid` must be a layer whose output is (batch, rows, columns, dim), of "
            f"known size. Received: grid={name!r}, whose output has shape "
            f"{tuple(shape)}. Take the layer before the pooling, and an encoder for "
            "images of one size."
        )
    return tuple(shape)


def _check_offsets(offsets, rows):
    """Return the offsets if each of them stands once and fits on the grid."""
    if isinstance(offsets, int) or not offsets or len(set(offsets)) < len(offsets):
        raise ValueError(
            "`offsets` must be different numbers of rows, such as (2, 3). Received: "
            f"offsets={offsets!r}"
        )
    offsets = tuple(check_count("offsets", offset) for offset in offsets)
    if max(offsets) >= rows:
        raise ValueError(
            f"A grid of {rows} rows has no patches {max(offsets)} rows below others. "
            f"Received: offsets={offsets}. Take more or smaller patches, or smaller "
            "offsets."
        )
    return offsets
