"""The HTML report: what it holds, for whom, and that it needs nothing else."""

import importlib.util
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest

import keras_contrastive as kc

ALWAYS = ["about", "measures", "neighbors", "map", "clusters", "duplicates", "outliers"]
WITH_LABELS = ["few_labels", "scores"]
NAMES = ["<b>cat</b>", 'dog "A"', "owl"]


def toy(count=45, seed=0):
    """Images of three classes, which pixels tell apart, mostly; features of them."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    images = rng.integers(0, 90, (count, 12, 12, 3))
    images[np.arange(count), 4 * labels] += 9
    images = images.astype("uint8")
    return images.reshape(count, -1)[:, ::3].astype("float32"), images, labels


class Page(HTMLParser):
    """What a browser would make of a report."""

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text()
        self.sections, self.ids, self.addresses, self.texts = [], [], [], []
        self.pictures, self._open = [], []
        self.feed(self.html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "section":
            self.sections.append(attributes["id"])
        if "id" in attributes:
            self.ids.append(attributes["id"])
        if attributes.get("class") == "pic":
            self.pictures.append(attributes["aria-label"])
        names = ("src", "href", "xlink:href", "action", "data")
        self.addresses += [attributes[name] for name in names if name in attributes]

    def handle_data(self, data):
        self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A report with everything."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    features, images, labels = toy()
    labels = np.where(np.arange(45) < 40, labels, -1)
    kc.report.write_report(
        path,
        features,
        images,
        labels,
        test=toy(30, seed=1),
        class_names=NAMES,
        file_paths=[f"<i>{i}</i>.jpg" for i in range(45)],
        history={
            "loss": [3.0, np.nan, 1.5],
            "val_loss": [3, 2, 1],
            "knn_accuracy": [0.5],
            "$\\x$<u>": [1, 2, 3],
        },
        about={"command": "<script>alert(1)</script>"},
        policy=kc.augmentations.simclr(8, blur=0.0),
        k=5,
    )
    return Page(path)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory):
    """A report of features and images alone."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    features, images, _ = toy()
    images[7], features[7] = images[2], features[2]
    kc.report.write_report(path, features, images)
    return Page(path)


def test_all_sections_in_order(labelled):
    order = ["about", "measures", "curves", "augmentation", "neighbors", "map"]
    order += ["few_labels", "scores", "clusters", "duplicates", "outliers"]
    assert labelled.sections == order


def test_what_there_is_no_data_for_is_left_out(unlabelled):
    assert unlabelled.sections == ALWAYS
    assert "✗" not in unlabelled.text and "Coloured by cluster" in unlabelled.text
    assert "image 2 image 7" in unlabelled.text and "same pixels" in unlabelled.text


@pytest.mark.parametrize("report", ["labelled", "unlabelled"])
def test_needs_nothing_else(report, request):
    page = request.getfixturevalue(report)
    for address in page.addresses:
        assert address.startswith(("#", "data:")), address
        assert not address.startswith("#") or address[1:] in page.ids
    assert "http:" not in page.html and "https:" not in page.html
    assert "@import" not in page.html
    for address in re.findall(r"url\((.*?)\)", page.html):
        assert address.startswith(("#", "data:")), address
    assert len(page.ids) == len(set(page.ids))


def test_every_picture_has_a_text(labelled):
    assert len(labelled.pictures) > 100
    empty = [text for text in labelled.pictures if not text]
    assert len(empty) == 1  # the map's, which takes that of the point


def test_text_of_users_is_escaped(labelled):
    for raw in ("<b>cat", "<i>3</i>", "<script>alert", "<u>"):
        assert raw not in labelled.html
    for text in ('dog "A"', "<b>cat</b>", "<script>alert(1)</script>", "$\\x$<u>"):
        assert text in labelled.text
    data = labelled.html.split('id="map-data">')[1].split("</script>")[0]
    points = json.loads(data)
    assert len(points) == 45
    assert points[3][2] == "<i>3</i>.jpg, <b>cat</b>"
    assert all(0 <= x <= 640 for *xy, _ in points for x in xy)


def test_numbers_are_those_of_evaluation(labelled):
    features, _, labels = toy()
    test_features, _, test_labels = toy(30, seed=1)
    train = features[:40], labels[:40]
    knn = kc.evaluation.knn_accuracy(*train, test_features, test_labels, k=5)
    linear = kc.evaluation.linear_probe(*train, test_features, test_labels)
    assert 1 / 3 < knn < 1
    assert f"kNN {100 * knn:.1f} %" in re.sub(" +", " ", labelled.text)
    assert f"linear classifier {100 * linear:.1f} %" in labelled.text
    rank = kc.evaluation.effective_rank(features)
    assert f"{rank:.1f} of 45" in labelled.text
    assert f"{kc.evaluation.uniformity(features):.2f}" in labelled.text
    assert "k = 5, temperature 0.1" in labelled.text
    assert "30 labelled test images, learned from 40" in labelled.text


def test_neighbours_are_counted_as_they_are_marked(labelled):
    right, total = map(
        int, re.search(r"(\d+) of (\d+) are right", labelled.text).groups()
    )
    section = labelled.text.split("Nearest neighbours")[2].split("drawn at random")[0]
    assert section.count("✓") == right
    assert section.count("✓") + section.count("✗") == total > 0


def test_curves_say_what_is_lost(labelled):
    assert "NaN or infinite: 1 of 3." in labelled.text
    assert "loss: 3 at first, 1.5 at last" in labelled.text


def test_without_test_images_a_fifth_is_held_out(tmp_path):
    features, images, labels = toy()
    path = kc.report.write_report(tmp_path / "a.html", features, images, labels)
    page = Page(path)
    assert page.sections == [*ALWAYS[:4], *WITH_LABELS, *ALWAYS[4:]]
    assert "9 held-out images" in page.text
    assert "image 4, class 1" in page.html


def test_collapse_is_said(tmp_path):
    _, images, _ = toy()
    features = 1 + 1e-4 * np.random.default_rng(0).normal(size=(45, 16))
    for number, x in enumerate((features, np.ones((45, 16)), np.zeros((45, 16)))):
        path = kc.report.write_report(tmp_path / f"{number}.html", x, images)
        assert "the representation has collapsed" in Page(path).text


def test_same_arguments_same_file(tmp_path):
    features, images, labels = toy()
    a, b = (
        kc.report.write_report(
            tmp_path / name, features, images, labels, history={"loss": [2, 1]}
        ).read_bytes()
        for name in ("a.html", "b.html")
    )
    assert a == b


def test_an_encoder_gives_the_features(tmp_path):
    _, images, labels = toy()
    encoder = kc.encoders.resnet(10, 4, input_shape=(12, 12, 3))
    path = kc.report.write_report(
        tmp_path / "a.html", encoder, images, test=(None, images[:9], labels[:9])
    )
    features = kc.evaluation.extract_features(encoder, images)
    rank = kc.evaluation.effective_rank(features)
    assert f"{rank:.1f} of {min(features.shape)}" in Page(path).text


def test_errors(tmp_path):
    features, images, labels = toy()
    bad = features.copy()
    bad[[17, 20], 3] = np.nan
    cases = [
        ("one row for each image. Received: 44 for 45", (features[:-1], images), {}),
        ("in 2 of 45 rows, first in row 17", (bad, images), {}),
        (r"shape \(n, dim\). Received: shape \(45,\)", (features[:, 0], images), {}),
        (r"len\(x\)=45, len\(y\)=3", (features, images, labels[:3]), {}),
        ("at least 9 images. Received: 8", (features[:8], images[:8]), {}),
        ("from 0 on, or -1", (features, images, labels - 2), {}),
        ("2 names, and images of class 2", (features, images, labels),
         {"class_names": ["a", "b"]}),
        ("`file_paths` must have one row", (features, images), {"file_paths": ["a"]}),
        ("must be .features, images, labels", (features, images), {"test": (1, 2)}),
        ("Of the test images, ", (features, images),
         {"test": (features, images, labels[:2])}),
        ("features of the same encoder", (features, images),
         {"test": (features[:, :5], images, labels)}),
        ("lists of one number per epoch", (features, images), {"history": {"a": "b"}}),
        ("`neighbors` must be a positive integer", (features, images),
         {"neighbors": 0}),
    ]  # fmt: skip
    for match, arguments, keywords in cases:
        with pytest.raises(ValueError, match=match):
            kc.report.write_report(tmp_path / "a.html", *arguments, **keywords)
    assert not list(tmp_path.iterdir())


def test_missing_package_is_named(tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda x: None if x == "jinja2" else find(x)
    )
    with pytest.raises(ImportError, match=r"needs Jinja2, .*\[plots\]"):
        kc.report.write_report(tmp_path / "a.html", *toy())


CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
# Points at a mark, as a mouse does, and writes down what the page shows then.
POINT = """<script>
const mark = document.querySelector("#map-svg use").getBoundingClientRect();
document.getElementById("map-svg").dispatchEvent(new PointerEvent("pointermove", {
  clientX: mark.x + mark.width / 2, clientY: mark.y + mark.height / 2}));
document.querySelector(".legend button").click();
const tip = document.getElementById("map-tip");
document.title = JSON.stringify([tip.hidden, tip.textContent,
  getComputedStyle(tip.children[0]).backgroundImage.slice(0, 20),
  document.querySelectorAll("g.dim").length,
  document.documentElement.scrollWidth <= innerWidth]);
</script></body>"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_in_a_browser(labelled, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(labelled.html.replace("</body>", POINT))
    run = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr"),
            *("--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in run.stderr, run.stderr
    title = re.search(r"<title>(.*?)</title>", run.stdout).group(1)
    hidden, text, picture, dimmed, fits = json.loads(
        title.replace("&lt;", "<").replace("&gt;", ">")
    )
    assert not hidden and "</i>.jpg" in text
    assert picture == 'url("data:image/jpeg'
    assert dimmed == 3 and fits  # two other classes, and what has none


def test_exports_are_a_table(tmp_path):
    features, images, _ = toy()
    difference = {"mean_cosine": 0.99995, "relative_difference": 3.2e-4}
    report = kc.export.ParityReport(
        **{"path": "models/photos/birds_float16.tflite", "kind": "float16"},
        **{"num_images": 1000, "size_bytes": 3 * 2**20},
        differences={"features": difference},
        latency=[
            {"batch_size": 1, "threads": 1, "p50_ms": 1.234, "p95_ms": 2.0},
            {"batch_size": 32, "threads": 1, "p50_ms": 9.0, "p95_ms": 9.0},
        ],
        **{"knn_encoder": 0.8, "knn_artefact": 0.798},
        failures=["<b>too far</b>"],
    )
    path = kc.report.write_report(
        tmp_path / "report.html", features, images, exports=[report]
    )
    page = Page(path)
    assert page.sections[-1] == "exports"
    row = "photos/birds_float16.tflite float16 3.00 0.999950 3.2e-04 -0.2 1.23"
    assert f"{row} <b>too far</b>" in page.text
