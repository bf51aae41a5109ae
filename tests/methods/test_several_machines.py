"""Processes that train together, each as on a machine of its own."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest
from helpers import build, dataset, sgd

from keras_contrastive import distribute

WORKER = pathlib.Path(__file__).parent / "several_machines_worker.py"
CLUSTER = {"worker": ["localhost:1", "localhost:2"]}


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("localhost", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def start(output, epochs, workers):
    """Start that many processes of one job; return them."""
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(workers)]}
    root = str(WORKER.parents[2])
    processes = []
    for index in range(workers):
        environment = {**os.environ, "PYTHONPATH": root}
        if workers > 1:
            task = {"type": "worker", "index": index}
            environment["TF_CONFIG"] = json.dumps({"cluster": cluster, "task": task})
        command = [sys.executable, str(WORKER), str(output), str(epochs)]
        processes.append(
            subprocess.Popen(
                *(command, -1, None), stdout=-1, stderr=-2, text=True, env=environment
            )
        )
    return processes


def results(output, epochs, workers):
    """Run a job to its end: what each process wrote, and what it said."""
    processes = start(output, epochs, workers)
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * workers, said
    return [np.load(output / f"{i}.npz") for i in range(workers)], said


@pytest.mark.slow
def test_two_processes_are_one_with_the_whole_batch_also_after_a_restart(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (one,), _ = results(tmp_path / "one", 3, workers=1)
    _, said = results(tmp_path / "two", 1, workers=2)
    for text in said:
        assert "refused: All workers must train the same model" in text
        assert "Received on this worker: batch size " in text
    two, said = results(tmp_path / "two", 3, workers=2)
    assert all("going on after epoch 1 of 3" in text for text in said)
    for worker in two:
        for name in (n for n in one.files if n.startswith("end")):
            begin, end = one[name.replace("end", "start")], one[name]
            moved = np.abs(end - 1.0 * begin).max()
            np.testing.assert_allclose(worker[name], end, atol=1e-3 * moved + 1e-6)
        assert worker["loss"] == pytest.approx(float(one["loss"]), rel=1e-3)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"cluster": {"worker": ["localhost:1"]}}',
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "chief", "index": 0}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": "x"}}),
    ],
)
def test_malformed_tf_config(text, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(ValueError, match="TF_CONFIG must be JSON.*Received"):
        distribute.workers_of_tf_config()


def test_a_model_outside_of_the_strategy_of_its_workers(monkeypatch):
    assert distribute.workers_of_tf_config() == 0
    task = {"type": "worker", "index": 1}
    config = json.dumps({"cluster": CLUSTER, "task": task})
    model = build("simclr")
    model.compile(sgd())
    monkeypatch.setenv("TF_CONFIG", config)
    assert distribute.workers_of_tf_config() == 2
    with pytest.raises(ValueError, match="names 2 workers, but this model was built"):
        model.fit(dataset())
