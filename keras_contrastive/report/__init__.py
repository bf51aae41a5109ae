from keras_contrastive.report.plots import (
    plot_curves,
    plot_embedding_map,
    plot_neighbors,
    plot_views,
)

__all__ = ["plot_curves", "plot_embedding_map", "plot_neighbors", "plot_views"]
