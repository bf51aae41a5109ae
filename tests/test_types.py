"""The package ships its types, and they hold."""

import pathlib
import subprocess
import sys

import keras_contrastive

ROOT = pathlib.Path(__file__).parent.parent
USER = """
import keras_contrastive as kc

encoder = kc.encoders.resnet(depth=10, width=4)
reveal_type(kc.evaluation.knn_accuracy)
kc.evaluation.knn_accuracy([], [], [], [], k="five")
"""


def test_types_hold_and_reach_users(tmp_path):
    assert (pathlib.Path(keras_contrastive.__file__).parent / "py.typed").exists()
    script = tmp_path / "user.py"
    script.write_text(USER)
    command = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    found = subprocess.run(
        [*command, "--config-file=pyproject.toml", "keras_contrastive", str(script)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    lines = [line for line in found.stdout.splitlines() if "note:" not in line]
    assert len(lines) == 2, found.stdout  # the mistake of the user's, and the sum
    assert 'Argument "k" to "knn_accuracy"' in lines[0]
    assert "builtins.float" in found.stdout or "-> float" in found.stdout
