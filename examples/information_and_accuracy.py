"""Is a tighter bound on mutual information a better representation?

    python examples/information_and_accuracy.py
    python examples/information_and_accuracy.py --bound=nwj --seeds=3

The study of Tschannen et al. (2020, https://arxiv.org/abs/1907.13625) in small. x and y
are the upper and the lower half of an image of the bundled sample; encoders of both
and a critic are trained to raise a bound on their information.

1. Encoders that can be inverted (RealNVP, sections 3.1): I(g(x); h(y)) is I(x; y)
   whatever they learn. Accuracy moves all the same.
2. Critics of rising capacity over the same encoders (section 3.2): bilinear, separable,
   concatenated. Does the tighter bound give the better features?

Prints the bound on held-out pairs and the accuracy of a linear probe on g(x) of both
halves' encoders, writes every number as JSON and a figure.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags
from keras import ops

import keras_contrastive as kc
from keras_contrastive import mutual_information as mi
from keras_contrastive.files import write_figure, write_json

_BOUND = flags.DEFINE_enum("bound", "infonce", ["infonce", "nwj"], "What is raised.")
_EPOCHS = flags.DEFINE_integer("epochs", 15, "Passes over the pairs.", lower_bound=1)
_EVERY = flags.DEFINE_integer("every", 3, "Epochs from measure to measure.")
_IMAGES = flags.DEFINE_integer("images", 10_000, "Training images used.")
_BATCH = flags.DEFINE_integer("batch_size", 128, "Pairs of a step.", lower_bound=2)
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam.")
_SEEDS = flags.DEFINE_integer("seeds", 1, "Runs of each.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "runs/information_and_accuracy", "Folder.")
CRITICS = {
    "bilinear": lambda seed: mi.BilinearCritic(seed=seed),
    "separable": lambda seed: mi.SeparableCritic(64, (256, 256), seed=seed),
    "concatenated": lambda seed: mi.ConcatenatedCritic((256, 256), seed=seed),
}


class Coupling(keras.layers.Layer):
    """One layer of RealNVP: half of the numbers scales and moves the other half.

    `a, b -> b * exp(tanh(s(a))) + t(a), a`, whatever the networks s and t are: `invert`
    takes it back. At the start s and t are 0.
    """

    def __init__(self, units=256, **kwargs):
        super().__init__(**kwargs)
        self.hidden = keras.layers.Dense(units, activation="relu")
        self.units = units

    def build(self, shape):
        """Create s and t."""
        self.split = shape[-1] // 2
        self.last = keras.layers.Dense(
            2 * (shape[-1] - self.split), kernel_initializer="zeros"
        )
        self.hidden.build((None, self.split))
        self.last.build((None, self.units))

    def call(self, x):
        """Return both halves, swapped."""
        a, b = x[:, : self.split], x[:, self.split :]
        scale, move = ops.split(self.last(self.hidden(a)), 2, axis=1)
        return ops.concatenate([b * ops.exp(ops.tanh(scale)) + move, a], axis=1)

    def invert(self, y):
        """Return what `call` was given."""
        size = y.shape[1] - self.split
        b, a = y[:, :size], y[:, size:]
        scale, move = ops.split(self.last(self.hidden(a)), 2, axis=1)
        return ops.concatenate([a, (b - move) * ops.exp(-ops.tanh(scale))], axis=1)


class Encoded(keras.layers.Layer):
    """A critic behind the encoders of both sides."""

    def __init__(self, of_x, of_y, critic, **kwargs):
        super().__init__(**kwargs)
        self.of_x, self.of_y, self.critic = of_x, of_y, critic

    def build(self, shapes):
        """Build what has no weights yet."""
        x, y = shapes
        self.critic.build(
            (self.of_x.compute_output_shape(x), self.of_y.compute_output_shape(y))
        )

    def call(self, pair):
        """Return the scores of all pairs, `(batch, batch)`."""
        x, y = pair
        return self.critic((self.of_x(x), self.of_y(y)))


def invertible(dim, depth=6):
    """Return an encoder that loses nothing."""
    return keras.Sequential(
        [keras.Input((dim,)), *(Coupling() for _ in range(depth))], name="invertible"
    )


def compressing(dim, units=(300, 100)):
    """Return an encoder to fewer features, which may lose what it likes."""
    layers = [keras.layers.Dense(width, activation="relu") for width in units[:-1]]
    return keras.Sequential(
        [keras.Input((dim,)), *layers, keras.layers.Dense(units[-1])]
    )


def main(argv):
    """Train, measure along the way, draw."""
    train, test = (halves(*part) for part in kc.data.load_sample())
    train = [part[: _IMAGES.value] for part in train]
    studies = [("invertible", invertible, "bilinear")]
    studies += [("compressing", compressing, critic) for critic in CRITICS]
    rows = []
    print(f"{'encoder':12} {'critic':13} {'epoch':>5} {'nats':>16} {'accuracy, %':>16}")
    for name, encoder, critic in studies:
        runs = [
            one_run(encoder, CRITICS[critic], train, test, seed)
            for seed in range(_SEEDS.value)
        ]
        for steps in zip(*runs, strict=True):
            epoch = steps[0]["epoch"]
            nats, linear = ([s[key] for s in steps] for key in ("nats", "linear"))
            rows.append(
                {"encoder": name, "critic": critic, "epoch": epoch}
                | {"nats": nats, "linear": linear}
            )
            cells = f"{spread(nats, 1):>16} {spread(linear, 100):>16}"
            print(f"{name:12} {critic:13} {epoch:5} {cells}", flush=True)
    print(f"\n{verdict(rows)}")
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    write_json(output / "information_and_accuracy.json", rows)
    figure = plot(rows)
    write_figure(output / "information_and_accuracy.png", figure, dpi=110)
    print(f"{output}/ holds information_and_accuracy.json and .png")


def halves(images, labels):
    """Return the upper and the lower half of images, flat in [0, 1], and labels."""
    images = images.astype("float32") / 255
    middle = images.shape[1] // 2
    upper, lower = images[:, :middle], images[:, middle : 2 * middle]
    return [part.reshape(len(part), -1) for part in (upper, lower)] + [labels]


def one_run(make, critic, train, test, seed):
    """Train both encoders and the critic; return bound and accuracy on the way."""
    keras.utils.set_random_seed(seed)
    dim = train[0].shape[1]
    encoders = make(dim), make(dim)
    model = mi.InformationEstimator(Encoded(*encoders, critic(seed)), _BOUND.value)
    model.compile(keras.optimizers.Adam(_RATE.value))
    model.build(((None, dim), (None, dim)))
    found = [measure(model, encoders, train, test, 0)]
    for epoch in range(0, _EPOCHS.value, _EVERY.value):
        epochs = min(_EVERY.value, _EPOCHS.value - epoch)
        pairs = (train[0], train[1])
        model.fit(pairs, batch_size=_BATCH.value, epochs=epochs, verbose=0)
        found.append(measure(model, encoders, train, test, epoch + epochs))
    return found


def measure(model, encoders, train, test, epoch):
    """Return the bound of test pairs, and the probe's accuracy on their features."""
    size = min(_BATCH.value, len(test[0]))
    features = [
        np.concatenate(
            [
                g.predict(x, 512, verbose=0)
                for g, x in zip(encoders, part, strict=False)
            ],
            axis=1,
        )
        for part in (train, test)
    ]
    linear = kc.evaluation.linear_probe(
        features[0], train[2], features[1], test[2], candidates=(0.03,)
    )
    return {
        "epoch": epoch,
        "nats": model.estimate(test[0], test[1], batch_size=size),
        "linear": linear,
    }


def spread(numbers, scale):
    """Return mean and standard deviation over the seeds."""
    return f"{scale * np.mean(numbers):.2f} +- {scale * np.std(numbers):.2f}"


def verdict(rows):
    """Say what moved though information did not, and which critics are the best."""
    fixed = [100 * np.mean(r["linear"]) for r in rows if r["encoder"] == "invertible"]
    last = [r for r in rows if r["encoder"] != "invertible" and r["epoch"]]
    last = [r for r in last if r["epoch"] == max(row["epoch"] for row in last)]
    tight = max(last, key=lambda row: np.mean(row["nats"]))
    good = max(last, key=lambda row: np.mean(row["linear"]))
    return (
        f"Invertible encoders, the same information throughout: accuracy from "
        f"{fixed[0]:.1f} to {fixed[-1]:.1f} %, at most {max(fixed):.1f} %.\n"
        f"The tightest bound is the {tight['critic']} critic's, the best accuracy the "
        f"{good['critic']} critic's."
    )


def plot(rows):
    """Return a figure: over the epochs of both studies, bound and accuracy."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    kinds = {(row["encoder"], row["critic"]): None for row in rows}
    for color, (encoder, critic) in enumerate(kinds):
        mine = [r for r in rows if (r["encoder"], r["critic"]) == (encoder, critic)]
        epochs = [row["epoch"] for row in mine]
        style = {"color": f"C{color}", "marker": "o", "markersize": 3}
        for axes, key, scale in ((left, "nats", 1), (right, "linear", 100)):
            mean = [scale * np.mean(row[key]) for row in mine]
            away = [scale * np.std(row[key]) for row in mine]
            label = f"{encoder}, {critic}"
            axes.errorbar(epochs, mean, away, label=label, capsize=2, **style)
    left.set(
        xlabel="epochs", ylabel=f"bound on held-out pairs in nats ({_BOUND.value})"
    )
    right.set(xlabel="epochs", ylabel="linear accuracy in %")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return figure


if __name__ == "__main__":
    app.run(main)
