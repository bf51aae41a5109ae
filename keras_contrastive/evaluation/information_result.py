"""How much the two views of an image tell of each other."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class InformationResult:
    """What `view_information` returns.

    Args:
        nats: The lower bound; a little below 0 where the views share nothing.
        ceiling: `log N`, which the bound cannot exceed: near it the views may share
            any amount above.
        candidates: N, the number of views among which the own one is found.
        held_out: Number of pairs that the bound was measured on.

    Example:
    >>> print(keras_contrastive.evaluation.InformationResult(3.2, 5.5452, 256, 1024))
    at least 3.20 nats, of 5.55 that 256 candidates can show (1,024 held-out pairs)
    """

    nats: float
    ceiling: float
    candidates: int
    held_out: int

    def __str__(self):
        return (
            f"at least {self.nats:.2f} nats, of {self.ceiling:.2f} that "
            f"{self.candidates} candidates can show ({self.held_out:,} held-out pairs)"
        )
