import json
import pathlib
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parent / "fuzz_serve_bytes.py"


@pytest.mark.parametrize("count", [400, pytest.param(4000, marks=pytest.mark.slow)])
def test_mutated_images(exported, count):
    process = subprocess.run(
        [sys.executable, "-P", SCRIPT, str(exported), str(count)],
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout.splitlines()[-1])
    assert found["answers"] + found["errors"] == count
    assert found["answers"] > count / 20 and found["errors"] > count / 4
    assert found["megabytes"] < 1024
