"""kNN and linear evaluation against scikit-learn, each alone in its own process.

    python benchmarks/evaluation.py                 # 50,000 x 10,000 x 512
    python benchmarks/evaluation.py --train=5000 --test=1000

Features are Gaussian clusters of 100 classes. Every contender runs --repeats times in
turn, and the median counts; the peak memory is that of the whole process, features
included. For the linear probe the accuracies are compared, on the first --linear rows.
"""

import json
import pathlib
import resource
import statistics
import subprocess
import sys
import time

import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS
_RESULTS = pathlib.Path(__file__).parent / "results"
flags.DEFINE_integer("train", 50_000, "Training rows.")
flags.DEFINE_integer("test", 10_000, "Test rows.")
flags.DEFINE_integer("dim", 512, "Width of the features.")
flags.DEFINE_integer("k", 200, "Neighbours that vote.")
flags.DEFINE_integer("linear", 10_000, "Training rows of the linear probe.")
flags.DEFINE_integer("repeats", 3, "Runs of each contender.")
flags.DEFINE_string("json_file", str(_RESULTS / "evaluation.json"), "The results.")
flags.DEFINE_string("worker", None, "Internal: the contender to run here.")


def features():
    """Return train and test features with their classes."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(100, FLAGS.dim)).astype("float32")
    parts = []
    for rows in (FLAGS.train, FLAGS.test):
        y = rng.integers(0, 100, rows)
        noise = rng.standard_normal((rows, FLAGS.dim), dtype="float32")
        parts += [centres[y] + 6 * noise, y]
    return parts


def ours_knn(x, y, test_x, test_y):
    """Ours."""
    from keras_contrastive.evaluation import knn_accuracy

    return lambda: knn_accuracy(x, y, test_x, test_y, k=FLAGS.k, temperature=0.1)


def sklearn_knn(x, y, test_x, test_y):
    """Brute force with the same weights: exp(cosine / temperature)."""
    from sklearn.neighbors import KNeighborsClassifier

    def weights(distances):
        return np.exp((1 - distances) / 0.1)

    def call():
        model = KNeighborsClassifier(FLAGS.k, weights=weights, metric="cosine")
        return model.fit(x, y).score(test_x, test_y)

    return call


def ours_linear(x, y, test_x, test_y):
    """Ours, with one candidate for the regularisation."""
    from keras_contrastive.evaluation import linear_probe

    x, y = x[: FLAGS.linear], y[: FLAGS.linear]
    return lambda: linear_probe(x, y, test_x, test_y, candidates=(1e-2,))


def sklearn_linear(x, y, test_x, test_y):
    """A scaler and a logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = x[: FLAGS.linear], y[: FLAGS.linear]

    def call():
        model = LogisticRegression(C=1e-2, max_iter=1000)
        return make_pipeline(StandardScaler(), model).fit(x, y).score(test_x, test_y)

    return call


CONTENDERS = {
    "knn": {"keras_contrastive": ours_knn, "scikit-learn": sklearn_knn},
    "linear": {"keras_contrastive": ours_linear, "scikit-learn": sklearn_linear},
}


def work(name):
    """Run one contender once, and print what it took as JSON."""
    kind, _, who = name.partition("/")
    call = CONTENDERS[kind][who](*features())
    start = time.perf_counter()
    accuracy = call()
    seconds = time.perf_counter() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": seconds, "accuracy": accuracy, "gib": memory}))


def main(argv):
    """Run all in turn; print and write medians."""
    if FLAGS.worker:
        return work(FLAGS.worker)
    names = [f"{kind}/{who}" for kind in CONTENDERS for who in CONTENDERS[kind]]
    runs = {name: [] for name in names}
    sizes = [f"--{f}={FLAGS[f].value}" for f in ("train", "test", "dim", "k", "linear")]
    for _ in range(FLAGS.repeats):
        for name in names:
            command = [sys.executable, __file__, f"--worker={name}", *sizes]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs[name].append(json.loads(done.stdout.splitlines()[-1]))
    rows = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]}
        for name, found in runs.items()
    }
    print("| | seconds | accuracy in % | peak memory, GiB |\n|---|---|---|---|")
    for name, row in rows.items():
        accuracy, memory = 100 * row["accuracy"], row["gib"]
        print(f"| {name} | {row['seconds']:.2f} | {accuracy:.2f} | {memory:.2f} |")
    flags_now = {name: FLAGS[name].value for name in ("train", "test", "dim", "k")}
    record = {"flags": flags_now, "medians": rows, "runs": runs}
    pathlib.Path(FLAGS.json_file).write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    app.run(main)
