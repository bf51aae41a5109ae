"""The benchmark's table, from made-up results, and our own step, briefly."""

import numpy as np
import pytest


def test_table_of_made_up_results(load):
    record = {
        **{"method": "BYOL", "batch_size": 64, "precision": "float32"},
        "runs": {
            "keras_contrastive": [10.0, 30.0, 20.0],
            "lightly": [8, 9, 10],
            "matrix product": [200, 400, 355.2],
            "convolution": [177.6] * 3,
        },
    }
    last = load("training_step").table([record]).splitlines()[-1]
    assert [cell.strip() for cell in last.split("|")[1:-1]] == [
        *("BYOL", "64", "float32", "20.0 (10.0 to 30.0)", "9.0 (8.0 to 10.0)"),
        *("2.22 x", "50 %, 100 %"),
    ]


def test_own_step_trains_and_counts_samples(load, untraced):
    step, protocol = load("own_step"), load("protocol")
    task = {"size": 8, "batch_size": 4, "precision": "float32", "width": 2}
    batches = step.batches({**task, "method": "BYOL", "head": (4, 2)})
    assert [np.shape(view) for view in next(batches)] == [(4, 8, 8, 3)] * 2
    run = protocol.measure(batches, 0, 0, warm_up_batches=0, least_batches=2)
    assert run["samples"] == 8


@pytest.mark.parametrize(
    "kind, flops", [("matrix product", 17179), ("convolution", 4831)]
)
def test_products_are_counted_in_megaflops(load, kind, flops):
    (megaflops,) = next(load("own_step").product(kind, "bfloat16"))
    assert len(megaflops) == flops
