"""One HTML file on what was learned."""

import pathlib

import keras

from keras_contrastive.checks import check_count
from keras_contrastive.files import write_bytes
from keras_contrastive.report import (
    label_sections,
    structure_sections,
    training_sections,
)
from keras_contrastive.report.export_section import exports as export_section
from keras_contrastive.report.image_set import check_images, check_test
from keras_contrastive.report.page import check_installed, render
from keras_contrastive.report.svg import SvgFigures
from keras_contrastive.report.thumbnails import Sheet


def write_report(
    path,
    features,
    images,
    labels=None,
    *,
    test=None,
    class_names=None,
    file_paths=None,
    history=None,
    about=None,
    policy=None,
    exports=None,
    title: str = "What the encoder has learned",
    neighbors: int = 8,
    k: int = 20,
    temperature: float = 0.1,
    num_clusters: int | None = None,
    max_points: int = 2000,
    seed: int = 0,
) -> pathlib.Path:
    """Write one HTML file that shows what an encoder has learned, labels or not.

    It holds all it needs: it opens from disk, on a phone too, and asks no server for
    anything. It shows what was trained, measures of collapse, training curves, the
    augmentation, nearest neighbours, a map with a thumbnail of every point, clusters,
    near-duplicates and outliers; with labels the accuracy, how few labels are enough,
    and confusions. What there is no data for is left out. 10,000 images of 128
    features, and 2,000 test images, took 27 s on two busy cores.

    Args:
        path: File to write, `report.html`; its folder exists. Readers see the old or
            the new file, never half of it.
        features: `(n, dim)`, or the encoder, which then gives them.
        images: `(n, height, width, channels)` in [0, 255], in the same order; uint16 is
            divided by 257, see `kc.data.to_255`. Of many channels the pictures show the
            first three, of two the first, and the page says so.
        labels: Integers `(n,)`, -1 where there is none; or None.
        test: Optional `(features, images, labels)` that were not trained on. With
            them the numbers are of these images; without them, of a fifth of the
            labelled ones. Its features may be None if `features` is an encoder.
        class_names: Optional: class `i` is `class_names[i]`.
        file_paths: Optional `n` paths, by which images are called.
        history: Optional: name to list with a number per epoch, as
            `model.fit(...).history`.
        about: Optional texts by name: method, recipe, data, command, commit, ...
        policy: Optional `kc.layers.Views`: what the network saw.
        exports: Optional results of `kc.export.verify`, one for each exported file.
        title: Heading of the page.
        neighbors: Neighbours shown and compared, at least 1, fewer than images.
        k: Of `kc.evaluation.knn_accuracy`.
        temperature: Of `kc.evaluation.knn_accuracy`, above 0.
        num_clusters: Of k-means; None is the number of classes, or 10.
        max_points: Points of the map, at most.
        seed: Integer >= 0 of all that is drawn. The same arguments give the same file
            on the same machine.

    Returns:
        The path.

    Raises:
        ImportError: Jinja2, matplotlib or scikit-learn is missing.
        ValueError: Lengths that differ; features with NaN; too few images; a label
            without a name; a history that is not numbers.
        OSError: The file cannot be written. What was there stays.

    Example:
    >>> (images, labels), _ = kc.data.load_sample()
    >>> images, labels = images[:60], labels[:60]
    >>> kc.report.write_report("report.html", images.reshape(60, -1), images, labels)
    PosixPath('report.html')
    """
    check_installed()
    for name, value in (("neighbors", neighbors), ("max_points", max_points)):
        check_count(name, value)
    if num_clusters is not None:
        check_count("num_clusters", num_clusters)
    encoder = features if isinstance(features, keras.Model) else None
    images = check_images(features, images, labels, class_names, file_paths)
    test = check_test(test, images, encoder)
    if len(images) <= neighbors:
        raise ValueError(
            f"A report of {neighbors} nearest neighbours needs at least "
            f"{neighbors + 1} images. Received: {len(images)}. Give more images, or a "
            f"smaller `neighbors`."
        )

    figures, sheet, map_sheet = SvgFigures(), Sheet(48), Sheet(32)
    within = structure_sections.neighbors_within(images, neighbors, seed)
    numbers, distances = structure_sections.cluster(images, num_clusters, seed)
    labelled = label_sections.split(images, test, seed)
    sections = [
        training_sections.about(images, test, about),
        structure_sections.measures(images, seed),
        training_sections.curves(history, figures),
        training_sections.augmentation(images, policy, sheet, seed),
        structure_sections.neighbors(within, images, test, sheet, neighbors, seed),
        structure_sections.embedding_map(images, numbers, map_sheet, max_points, seed),
        label_sections.few_labels(labelled, figures, temperature, seed),
        label_sections.scores(labelled, k, temperature, seed),
        structure_sections.clusters(images, numbers, distances, sheet, seed),
        structure_sections.duplicates(within, sheet),
        structure_sections.outliers(within, sheet),
        export_section(exports),
    ]
    page = render(title, [s for s in sections if s is not None], sheet, map_sheet)
    write_bytes(path, page.encode())
    return pathlib.Path(path)
