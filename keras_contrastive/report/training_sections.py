"""What was trained: in words, in curves, and what the network saw."""

import numpy as np

from keras_contrastive.files import package_versions
from keras_contrastive.pictures import said_of_channels
from keras_contrastive.report.section import Section
from keras_contrastive.report.svg import LINES

_TITLES = {
    "loss": "Loss",
    "knn_accuracy": "kNN accuracy",
    "probe_accuracy": "Accuracy of the online probe",
    "contrastive_accuracy": "Contrastive accuracy",
    "embedding_std": "Embedding standard deviation",
    "learning_rate": "Learning rate",
    "momentum": "Momentum of the target",
}
_VIEWS = 6  # of each image, at least where a policy makes fewer


def about(images, test, about) -> Section:
    """Say what was trained, on what, and what the report is about."""
    height, width, channels = images.images.shape[1:]
    count, dim = images.features.shape
    labelled = len(images.labelled)
    facts = {
        "images": f"{count:,} of {height} x {width} pixels, channels: {channels}",
        "features": f"{dim} for each image",
        "labels": f"{labelled:,} images have one" if labelled else "none",
    }
    shown = said_of_channels(channels)
    if shown:
        facts["pictures"] = shown
    if test is not None:
        facts["test images"] = f"{len(test):,}, {len(test.labelled):,} with a label"
    given = {str(name): str(value) for name, value in (about or {}).items()}
    return Section(
        "about",
        "What was trained",
        {"given": given, "facts": facts, "versions": package_versions("scikit-learn")},
    )


def curves(history, figures) -> Section | None:
    """Draw each list of the history over the epochs; `val_` beside its own."""
    if not history:
        return None
    lists = {str(name): _numbers(name, x) for name, x in history.items()}
    lists = {name: x for name, x in lists.items() if np.isfinite(x).any()}
    epochs = max(map(len, lists.values()), default=0)
    panels = []
    for name in sorted(lists, key=_order):
        own = name.removeprefix("val_")
        if name != own and own in lists:  # is in the panel of the other
            continue
        lines = {x: lists[x] for x in (name, f"val_{name}") if x in lists}
        panels.append(_panel(lines, epochs, figures))
    if not panels:
        return None
    return Section(
        "curves",
        "Training curves",
        {"panels": panels},
        f"Epochs: {epochs}. A curve with fewer values was measured at equal distances, "
        "up to the last epoch.",
    )


def _numbers(name, values):
    try:
        values = np.asarray(values, "float64")
    except (TypeError, ValueError):
        values = None
    if values is None or values.ndim != 1:
        raise ValueError(
            "`history` must map names to lists of one number per epoch, as "
            f"`model.fit(...).history` does. Received: history[{name!r}] is not one."
        )
    return values


def _order(name):
    """Known curves first, in the order of their titles."""
    known = list(_TITLES)
    own = name.removeprefix("val_")
    return known.index(own) if own in known else len(known), own


def _panel(lines, epochs, figures):
    name = next(iter(lines))
    title = _TITLES.get(name, name)
    texts = [_text(x, values) for x, values in lines.items()]

    def draw(axis):
        for color, (x, values) in zip(LINES, lines.items(), strict=False):
            at = (np.arange(len(values)) + 1) * epochs / len(values)
            style = "--" if x.startswith("val_") else "-"
            axis.plot(at, values, style, color=color, marker=".", label=x)
        axis.set_xlabel("epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1:
            for text in axis.legend(frameon=False).get_texts():
                text.set_parse_math(False)

    drawn = max(map(len, lines.values())) > 1  # one value is no curve
    svg = figures.draw(draw, f"{title}. {' '.join(texts)}") if drawn else None
    return {"title": title, "svg": svg, "texts": texts}


def _text(name, values):
    finite = values[np.isfinite(values)]
    text = f"{name}: {finite[0]:.4g} at first, {finite[-1]:.4g} at last; "
    text += f"lowest {finite.min():.4g}, highest {finite.max():.4g}."
    lost = len(values) - len(finite)
    return text + (f" NaN or infinite: {lost} of {len(values)}." if lost else "")


def augmentation(images, policy, sheet, seed) -> Section | None:
    """Show images and the views that a policy makes of them."""
    if policy is None:
        return None
    shown = images.draw(6, seed)
    batch = shown.images.astype("float32")
    draws = [policy(batch, seed=(seed, 0))]
    draws += [policy(batch, seed=(seed, i)) for i in range(1, _VIEWS // len(draws[0]))]
    originals = sheet.add(shown.images, [shown.caption(i) for i in range(len(shown))])
    columns = []
    for draw, views in enumerate(draws, start=1):
        for number, view in enumerate(views, start=1):
            labels = [f"view {number}, draw {draw}, of {p.label}" for p in originals]
            columns.append(sheet.add(np.asarray(view), labels))
    rows = [
        {"image": image, "views": [column[i] for column in columns]}
        for i, image in enumerate(originals)
    ]
    return Section(
        "augmentation",
        "What the network saw",
        {"rows": rows, "policy": str(policy)},
        f"{len(rows)} images drawn at random, left, and {len(draws)} times "
        f"{len(draws[0])} views of each by the policy {policy.name!r}, seed {seed}. "
        "All are shown at one size.",
    )
