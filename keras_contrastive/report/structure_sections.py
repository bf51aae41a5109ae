"""What features tell without a label: neighbours, map, clusters, measures."""

import dataclasses
import warnings

import numpy as np

from keras_contrastive.evaluation.geometry import effective_rank, uniformity
from keras_contrastive.evaluation.neighbors import nearest_neighbors
from keras_contrastive.k_means import k_means
from keras_contrastive.report.image_set import UNKNOWN, ImageSet
from keras_contrastive.report.projection import project
from keras_contrastive.report.section import Section

_SEARCHED = 10_000  # images among which pairs and outliers are looked for
_RANK_ROWS, _PAIR_ROWS = 5_000, 2_000
_QUERIES, _PAIRS, _OUTLIERS = 10, 12, 16
_ALIKE = 0.99


@dataclasses.dataclass(frozen=True, eq=False)
class Neighbors:
    """The nearest neighbours of images, by cosine similarity.

    Args:
        queries: `q` images.
        searched: The images in which the neighbours were found.
        rows: Rows of `searched`, nearest first, integers `(q, k)`.
        similarity: Their cosines, float `(q, k)`.
    """

    queries: ImageSet
    searched: ImageSet
    rows: np.ndarray
    similarity: np.ndarray


def nearest(searched: ImageSet, k: int, queries: ImageSet | None = None) -> Neighbors:
    """Find the `k` nearest images of each query; of each image itself without any.

    An image is not its own neighbour.
    """
    if queries is not None:
        found = nearest_neighbors(searched.unit, queries.unit, k)
        return Neighbors(queries, searched, *found)
    rows, similarity = nearest_neighbors(searched.unit, searched.unit, k + 1)
    own = rows == np.arange(len(rows))[:, None]
    own[~own.any(axis=1), -1] = True  # more than k others are the same
    shape = len(rows), -1
    return Neighbors(
        searched, searched, rows[~own].reshape(shape), similarity[~own].reshape(shape)
    )


def neighbors_within(images: ImageSet, k: int, seed: int) -> Neighbors:
    """Find the neighbours of images among themselves, of at most 10,000 of them."""
    return nearest(images.draw(_SEARCHED, seed), k)


def measures(images, seed) -> Section:
    """Measure how the features lie in space, and say whether they have collapsed."""
    unit, (count, dim) = images.unit, images.features.shape
    healthy = 1 / np.sqrt(dim)
    deviation = float(unit.std(axis=0, dtype="float64").mean())
    total = np.linalg.norm(unit.sum(axis=0, dtype="float64")) ** 2
    rank_rows = images.draw(_RANK_ROWS, seed).features
    rank = effective_rank(rank_rows)
    pair_rows = images.draw(_PAIR_ROWS, seed).features
    most = min(rank_rows.shape)
    rows = [
        (
            "effective rank (RankMe)",
            f"{rank:.1f} of {most}",
            "Directions that the features use; higher is better, 1 is collapse. "
            f"{len(rank_rows):,} images, not centred.",
        ),
        (
            "mean standard deviation",
            f"{deviation:.4f}",
            f"Of each of {dim} dimensions, at length 1. Spread over the whole sphere "
            f"it is {healthy:.4f}, collapsed it is 0. {count:,} images.",
        ),
        (
            "mean cosine of two images",
            f"{(total - count) / (count * (count - 1)):.3f}",
            f"1 is collapse, 0 is a spread over the sphere. All pairs of {count:,} "
            "images.",
        ),
        (
            "uniformity",
            f"{uniformity(pair_rows):.2f}",
            "Lower is better, 0 is collapse, about -4 are points at random. t = 2, all "
            f"pairs of {len(pair_rows):,} images.",
        ),
    ]
    return Section(
        "measures",
        "Has it collapsed?",
        {"rows": rows, **verdict(deviation / healthy, rank, most)},
        "The sentence is a rule of thumb. Collapsed: a standard deviation under 5 % of "
        "that on the whole sphere; doubtful: under 20 %, or an effective rank under "
        "5 % of the possible one. Compare encoders of one size on the same images.",
    )


def verdict(spread: float, rank: float, most: int) -> dict:
    """Judge features by their spread and their rank.

    Args:
        spread: Mean standard deviation, relative to `1 / sqrt(dim)`.
        rank: Effective rank.
        most: The largest one possible.

    Returns:
        `sign`, `short` and `sentence`.
    """
    if spread < 0.05 or rank < 1.05:
        short, sign = "collapsed", "✗"
        sentence = (
            "All images have nearly the same feature: the representation has "
            "collapsed. Lower the learning rate, and check that the views differ."
        )
    elif spread < 0.2 or rank < 0.05 * most:
        short, sign = "doubtful", "?"
        sentence = (
            "The features are spread little or use few directions. That may be a "
            "partial collapse, few kinds of images, or a network that is not trained."
        )
    else:
        short, sign = "no collapse", "✓"
        sentence = "No sign of a collapse: the features are spread, in many directions."
    return {"sign": sign, "short": short, "sentence": sentence}


def neighbors(within, images, test, sheet, k, seed) -> Section:
    """Show images drawn at random, and what lies nearest to them."""
    if test is None:
        chosen = np.random.default_rng(seed).permutation(len(within.queries))
        chosen = chosen[:_QUERIES]
        found = dataclasses.replace(
            within,
            queries=within.queries.take(chosen),
            rows=within.rows[chosen],
            similarity=within.similarity[chosen],
        )
    else:
        found = nearest(images, k, test.draw(_QUERIES, seed))
    rows = [_row(found, i, sheet) for i in range(len(found.queries))]
    marks = [x["mark"] for row in rows for x in row["found"] if x["mark"]]
    right = sum(mark == "right" for mark in marks)
    protocol = (
        f"{len(rows)} {found.queries.kind}s drawn at random (seed {seed}), and the {k} "
        f"nearest of {len(found.searched):,} images by the cosine similarity of their "
        "features, which is the number."
    )
    if marks:
        protocol += (
            f" ✓ is the query's class, ✗ another one: {right} of {len(marks)} "
            "are right."
        )
    return Section("neighbors", "Nearest neighbours", {"rows": rows}, protocol)


def _row(found, query, sheet):
    queries, searched, rows = found.queries, found.searched, found.rows[query]
    (picture,) = sheet.add(queries.images[[query]], [queries.caption(query)])
    label = queries.labels[query]
    neighbours = []
    pictures = sheet.add(searched.images[rows], [searched.caption(i) for i in rows])
    for i, row in enumerate(rows):
        known = UNKNOWN not in (label, searched.labels[row])
        mark = ("right" if label == searched.labels[row] else "wrong") * known
        neighbours.append(
            {
                "picture": pictures[i],
                "similarity": float(found.similarity[query, i]),
                "mark": mark,
            }
        )
    return {"query": picture, "found": neighbours}


def cluster(images, num_clusters, seed):
    """Return the number of the cluster of each image, and the distance to its centre.

    The largest cluster is number 0.

    Without `num_clusters` there are as many as classes, from 2 to 20; without labels
    10. There are never more than half the images.
    """
    from sklearn.exceptions import ConvergenceWarning

    if num_clusters is None:
        classes = len(np.unique(images.labels[images.labelled]))
        num_clusters = min(20, classes) if classes > 1 else 10
    num_clusters = max(1, min(num_clusters, len(images) // 2))
    with warnings.catch_warnings():
        # Collapsed features have fewer clusters; the report says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, numbers, distances = k_means(images.unit, num_clusters, seed)
    by_size = np.argsort(-np.bincount(numbers), kind="stable")
    return np.argsort(by_size)[numbers], distances


def clusters(images, numbers, distances, sheet, seed) -> Section:
    """Show the images nearest to the centre of each cluster, and the farthest."""
    rows = []
    for number in range(numbers.max() + 1):
        members = np.flatnonzero(numbers == number)
        members = members[np.argsort(distances[members], kind="stable")]
        nearest_ones, rest = members[:8], members[8:]
        row = {"number": number + 1, "size": len(members)}
        for name, some in (("nearest", nearest_ones), ("farthest", rest[-4:])):
            captions = [images.caption(i) for i in some]
            row[name] = sheet.add(images.images[some], captions)
        rows.append({**row, "of": _majority(images, members)})
    return Section(
        "clusters",
        "Clusters",
        {"rows": rows},
        f"k-means of the features at length 1, k = {len(rows)}, all {len(images):,} "
        f"images, seed {seed}. Labels are not used, only counted where there are any. "
        "Of each cluster, largest first: the 8 images nearest to its centre, then up "
        "to 4 that are farthest from it.",
    )


def _majority(images, members):
    labels = images.labels[members]
    labels = labels[labels != UNKNOWN]
    if not len(labels):
        return None
    label = np.bincount(labels).argmax()
    share = np.mean(labels == label)
    return f"{100 * share:.0f} % {images.class_name(label)}"


def embedding_map(images, numbers, sheet, max_points, seed) -> Section | None:
    """Lay out images in a plane by their features."""
    order = np.sort(np.random.default_rng(seed).permutation(len(images))[:max_points])
    shown, numbers = images.take(order), numbers[order]
    if len(shown) < 4 or not np.ptp(shown.unit, axis=0).any():
        return None  # all of them in one point
    points, how = project(shown.unit, seed)
    if len(shown.labelled):
        groups, by = shown.labels, "label"
        names = {x: shown.class_name(x) for x in np.unique(groups)}
    else:
        groups, by = numbers, "cluster"
        names = {x: f"cluster {x + 1}" for x in np.unique(groups)}
    captions = [shown.caption(i) for i in range(len(shown))]
    if by == "cluster":
        captions = [f"{x}, {names[n]}" for x, n in zip(captions, numbers, strict=True)]
    sheet.add(shown.images, captions)
    points = _inside(points)
    legend = [
        {
            "name": name,
            "color": "none" if group == UNKNOWN else int(group) % 10,
            "shape": 0 if group == UNKNOWN else int(group) // 10 % 3,
            "points": points[groups == group].tolist(),
        }
        for group, name in names.items()
    ]
    data = [[*xy, text] for xy, text in zip(points.tolist(), captions, strict=True)]
    return Section(
        "map",
        "Map",
        {"groups": legend, "by": by, "data": data},
        f"{len(shown):,} of {len(images):,} images. {how}. Neighbourhoods mean "
        "something, distances between groups little.",
    )


def _inside(points, side=640, margin=14):
    """Points within a square of `side`, one decimal place."""
    points = points - points.min(axis=0)
    points = points / max(points.max(), 1e-9)
    offset = (1 - points.max(axis=0)) / 2  # in the middle
    return np.round((points + offset) * (side - 2 * margin) + margin, 1)


def duplicates(within, sheet) -> Section:
    """Show the pairs of images that are most alike."""
    images, rows = within.searched, within.rows
    first = np.repeat(np.arange(len(rows)), rows.shape[1])
    second, similarity = rows.ravel(), within.similarity.ravel()
    pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    pairs, index = np.unique(pairs, axis=0, return_index=True)
    similarity = similarity[index]
    alike = int(np.count_nonzero(similarity >= _ALIKE))
    shown = []
    for i in np.argsort(-similarity, kind="stable")[:_PAIRS]:
        pair = pairs[i]
        names = [images.caption(row) for row in pair]
        labels = images.labels[pair]
        shown.append(
            {
                "pictures": sheet.add(images.images[pair], names),
                "similarity": float(similarity[i]),
                "same": bool(np.array_equal(*images.images[pair])),
                "differ": UNKNOWN not in labels and labels[0] != labels[1],
            }
        )
    return Section(
        "duplicates",
        "Near-duplicates",
        {"pairs": shown, "alike": alike, "limit": _ALIKE},
        f"The pairs of highest cosine similarity among the {rows.shape[1]} nearest "
        f"neighbours of each of {len(images):,} images. The same image in training and "
        "test data makes numbers too good.",
    )


def outliers(within, sheet) -> Section:
    """Show the images that are least like their nearest neighbours."""
    mean = within.similarity.mean(axis=1)
    images = within.searched
    rows = np.argsort(mean, kind="stable")[:_OUTLIERS]
    pictures = sheet.add(images.images[rows], [images.caption(row) for row in rows])
    found = [
        {"picture": picture, "similarity": float(mean[row])}
        for picture, row in zip(pictures, rows, strict=True)
    ]
    return Section(
        "outliers",
        "Outliers",
        {"found": found, "median": float(np.median(mean))},
        f"The lowest mean cosine similarity to their {within.rows.shape[1]} nearest "
        f"neighbours among {len(images):,} images.",
    )
