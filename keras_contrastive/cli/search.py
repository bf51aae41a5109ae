"""keras-contrastive search ENCODER FOLDER: what is similar among images.

    keras-contrastive search runs/simclr_resnet10_photos photos/ --query=cat.jpg
    keras-contrastive search runs/simclr_resnet10_photos photos/ --duplicates=0.98

With --query, an image or a folder of them, it prints the nearest neighbours of each in
FOLDER; without, pairs of near-duplicates in FOLDER. ENCODER is a preset, the folder of
a run, or a .keras file. Every image is compared with every other, by cosine similarity;
--approximate looks at some of them, for millions of images and many queries.
A folder may hold images.npy instead; its images are called by their numbers.
"""

import pathlib
import tempfile

from absl import flags

from keras_contrastive import evaluation
from keras_contrastive.cli.main import UsageError
from keras_contrastive.cli.networks import define_range, load_encoder, range_of
from keras_contrastive.files import write_json
from keras_contrastive.zoo.measure import images_of_folder

FLAGS = flags.FlagValues()
_QUERY = flags.DEFINE_string(
    "query", None, "An image, or a folder of images.", flag_values=FLAGS
)
_K = flags.DEFINE_integer(
    "k", 8, "Neighbours of each query.", lower_bound=1, flag_values=FLAGS
)
_APPROXIMATE = flags.DEFINE_bool(
    "approximate", False, "Search by a graph (HNSW): needs usearch.", flag_values=FLAGS
)
_DUPLICATES = flags.DEFINE_float(
    "duplicates",
    0.98,
    "Least similarity of near-duplicates.",
    lower_bound=-1,
    upper_bound=1,
    flag_values=FLAGS,
)
_JSON = flags.DEFINE_string(
    "json_file", None, "File for what was found.", flag_values=FLAGS
)
_RANGE = define_range(FLAGS)


def run(arguments: list[str]) -> None:
    """Search, print, and write if asked."""
    if len(arguments) != 2:
        raise UsageError("Expected ENCODER and FOLDER.")
    encoder = load_encoder(arguments[0])
    value_range = range_of(_RANGE, arguments[0])
    files, features = features_of(encoder, pathlib.Path(arguments[1]), value_range)
    found = []
    if _APPROXIMATE.value and not _QUERY.value:
        raise UsageError("--approximate needs --query. Pairs are searched exactly.")
    if _QUERY.value:
        queries, query_features = features_of(
            encoder, pathlib.Path(_QUERY.value), value_range
        )
        search = evaluation.nearest_neighbors
        if _APPROXIMATE.value:
            search = evaluation.approximate_neighbors
        result = search(features, query_features, _K.value)
        for query, rows, similarities in zip(queries, *result, strict=True):
            found += [
                (float(similarity), query, files[row])
                for row, similarity in zip(rows, similarities, strict=True)
            ]
    else:
        pairs, similarities = evaluation.near_duplicates(features, _DUPLICATES.value)
        found = [
            (float(similarity), files[a], files[b])
            for (a, b), similarity in zip(pairs, similarities, strict=True)
        ]
    for similarity, one, other in found:
        print(f"{similarity:.4f}  {one}  {other}")
    if not found:
        print(f"No two images are as similar as {_DUPLICATES.value}.")
    if _JSON.value:
        write_json(
            _JSON.value,
            [{"similarity": s, "one": one, "other": other} for s, one, other in found],
        )


def features_of(encoder, path, value_range):
    """Return the files of a folder, or the one file, and their features."""
    if path.is_file():
        with tempfile.TemporaryDirectory() as folder:
            link = pathlib.Path(folder) / path.name
            link.symlink_to(path.resolve())
            return [str(path)], features_of(encoder, link.parent, value_range)[1]
    *size, channels = encoder.input_shape[1:]
    images = images_of_folder(
        path, value_range, labels=False, image_size=tuple(size), channels=channels
    )
    return images.file_paths, evaluation.extract_features(encoder, images)
