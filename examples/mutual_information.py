"""How well can mutual information be estimated? Eight bounds on pairs of known nats.

    python examples/mutual_information.py    # 2 cores: about 5 minutes
    python examples/mutual_information.py --critic=separable --only=MINE,InfoNCE

x and y are Gaussians of 20 dimensions whose correlation rises, so that they share 2, 4,
6, 8 and 10 nats, as in figure 2 of https://arxiv.org/abs/1905.06922 (Poole et al.,
2019). Each estimator trains one critic, on new pairs in every step. Writes the estimate
of each step as a figure, and its bias and spread as a table and JSON.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

from keras_contrastive import mutual_information as mi
from keras_contrastive.files import write_figure, write_json

_CRITIC = flags.DEFINE_enum(
    "critic", "concatenated", ["separable", "bilinear", "concatenated"], "Its form."
)
_STEPS = flags.DEFINE_integer("steps", 600, "Steps at each amount of information.")
_BATCH = flags.DEFINE_integer("batch_size", 64, "Pairs of each step.", lower_bound=2)
_UNITS = flags.DEFINE_integer("hidden_units", 128, "Width of two hidden layers.")
_RATE = flags.DEFINE_float("learning_rate", 1e-3, "Of Adam.")
_SEED = flags.DEFINE_integer("seed", 0, "Seed of pairs and critics.")
_ONLY = flags.DEFINE_list("only", None, "Names of estimators; by default all.")
_OUTPUT = flags.DEFINE_string("output", "runs/mutual_information", "Folder.")
NATS = (2, 4, 6, 8, 10)
DIM = 20


def main(argv):
    """Estimate, print, draw."""
    output = pathlib.Path(_OUTPUT.value)
    output.mkdir(parents=True, exist_ok=True)
    pairs = gaussians(_STEPS.value * _BATCH.value, _SEED.value)
    print(f"Mean less truth (standard deviation) in nats, {_CRITIC.value} critic:\n")
    print(f"{'nats':18}" + "".join(f"{nats:9}       " for nats in NATS))
    estimates, table = {}, {}
    for name, model in estimators().items():
        model.compile(keras.optimizers.Adam(_RATE.value))
        every = EveryStep()
        options = {"batch_size": _BATCH.value, "shuffle": False, "verbose": 0}
        model.fit(pairs, callbacks=[every], **options)
        estimates[name], table[name] = every.bounds, measures(every.bounds)
        print(row(name, table[name]), flush=True)
    write_json(output / "mutual_information.json", table)
    write_figure(output / "mutual_information.png", plot(estimates), dpi=110)
    print(f"\n{output}/ holds mutual_information.json and mutual_information.png")


def gaussians(n, seed):
    """Return x and y, `(5 n, 20)`: n pairs of each amount of information, in order.

    Coordinates with the correlation r share -log(1 - r^2) / 2 nats each.
    """
    rng = np.random.default_rng(seed)
    x, noise = rng.normal(size=(2, len(NATS) * n, DIM)).astype("float32")
    r = np.sqrt(1 - np.exp(-2 * np.array(NATS) / DIM)).astype("float32")
    r = r.repeat(n)[:, None]
    return x, r * x + np.sqrt(1 - r**2) * noise


def estimators():
    """Return the name of each estimator and its model."""

    def critic():
        units = (_UNITS.value, _UNITS.value)
        kinds = {
            "separable": lambda: mi.SeparableCritic(32, units, seed=_SEED.value),
            "bilinear": lambda: mi.BilinearCritic(seed=_SEED.value),
            "concatenated": lambda: mi.ConcatenatedCritic(units, seed=_SEED.value),
        }
        return kinds[_CRITIC.value]()

    def of(bound, **arguments):
        return mi.InformationEstimator(critic(), bound, bound_arguments=arguments)

    models = {
        "MINE": mi.MINE(critic()),
        "NWJ": of("nwj"),
        "JS": of("js"),
        "SMILE 5": of("smile", clip=5.0),
        "SMILE 1": of("smile", clip=1.0),
        "interpolated 0.01": of("interpolated", alpha=0.01),
        "interpolated 0.5": of("interpolated", alpha=0.5),
        "InfoNCE": of("infonce"),
    }
    return {name: models[name] for name in _ONLY.value or models}


class EveryStep(keras.callbacks.Callback):
    """Keeps the bound of each batch, measured before it is trained on."""

    def __init__(self):
        super().__init__()
        self.bounds = []

    def on_train_batch_begin(self, batch, logs=None):
        """Forget the batches before, of which Keras shows the mean."""
        self.model.bound_tracker.reset_state()

    def on_train_batch_end(self, batch, logs=None):
        """Keep that of this batch."""
        self.bounds.append(float(logs["bound"]))


def measures(bounds):
    """Return bias and standard deviation at each amount, of its last half of steps."""
    parts = np.reshape(bounds, (len(NATS), -1))
    late = parts[:, parts.shape[1] // 2 :]
    return {
        str(nats): {"bias": float(part.mean() - nats), "deviation": float(part.std())}
        for nats, part in zip(NATS, late, strict=True)
    }


def row(name, found):
    """Return a row of the table."""
    cells = (f"{m['bias']:+8.2f} ({m['deviation']:4.2f})" for m in found.values())
    return f"{name:18}{' '.join(cells)}"


def plot(estimates):
    """Return a figure: one panel for each estimator, as in the paper."""
    from matplotlib.figure import Figure

    steps, width = len(NATS) * _STEPS.value, max(1, _STEPS.value // 10)
    columns = min(4, len(estimates))
    rows = -(-len(estimates) // columns)
    figure = Figure(figsize=(2.5 * columns, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (name, bounds) in zip(panels.flat, estimates.items(), strict=False):
        axes.plot(bounds, color="tab:blue", alpha=0.3, linewidth=0.6)
        smooth = np.convolve(bounds, np.ones(width) / width, "valid")
        late = np.arange(width - 1, steps)
        axes.plot(late, smooth, color="tab:blue", label=f"mean of {width} steps")
        truth = np.repeat(NATS, _STEPS.value)
        axes.plot(truth, color="black", linewidth=1, label="truth")
        n = _BATCH.value
        style = {"color": "tab:gray", "linestyle": ":", "label": f"log {n}"}
        axes.axhline(np.log(n), **style)
        axes.set(title=name, ylim=(-1, 13), xlim=(0, steps), yticks=(0, *NATS))
    panels[0, 0].legend(fontsize="small", frameon=False, loc="upper left")
    figure.supxlabel("steps")
    figure.supylabel("nats")
    return figure


if __name__ == "__main__":
    app.run(main)
