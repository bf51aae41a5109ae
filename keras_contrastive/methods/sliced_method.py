"""What methods share whose loss looks at all views along random directions."""

from keras import ops

from keras_contrastive.losses.sliced_loss import random_directions
from keras_contrastive.methods.batch import Needs
from keras_contrastive.methods.contrastive_model import ContrastiveModel


class SlicedMethod(ContrastiveModel):
    """Any number of views, one network, no stopped gradient; `paper_loss` is sliced.

    The directions are new in every step, but depend on the step alone.
    """

    needs = Needs(max_views=None)
    draws = True

    def __init__(
        self, encoder, projector, paper_loss, concatenate_views=True, **kwargs
    ):
        super().__init__(
            encoder, projector, concatenate_views=concatenate_views, **kwargs
        )
        self.paper_loss = paper_loss

    def default_loss(self):
        """Return the loss with the method's arguments."""
        return self.paper_loss

    def forward(self, batch, training):
        """Embeddings of all views."""
        features, embeddings = self.online(batch.views, training)
        return {
            "features": features,
            "anchor": embeddings[0],
            "positive": embeddings[1],
            "z": ops.stack(embeddings, axis=1),  # (n, V, D)
        }

    def contrastive_loss(self, outputs, batch):
        """Return the loss of the global batch, on directions of this step."""
        slices = self.paper_loss.num_slices
        a = random_directions(self.embedding_dim, slices, seed=batch.step)
        return self.loss(a, outputs["z"])

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "weight": self.paper_loss.weight,
            "num_slices": self.paper_loss.num_slices,
            "num_global": self.paper_loss.num_global,
        }
