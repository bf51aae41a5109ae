from keras_contrastive.report.plots import (
    plot_curves,
    plot_embedding_map,
    plot_neighbors,
    plot_views,
)
from keras_contrastive.report.write_report import write_report

__all__ = [
    "plot_curves",
    "plot_embedding_map",
    "plot_neighbors",
    "plot_views",
    "write_report",
]
