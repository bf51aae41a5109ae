import json
import pathlib
import subprocess
import sys

SCRIPT = pathlib.Path(__file__).parent / "fuzz_serve_bytes.py"


def test_two_thousand_mutated_images(exported):
    process = subprocess.run(
        [sys.executable, "-P", SCRIPT, str(exported), "2000"],
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert process.returncode == 0, process.stderr[-2000:]
    found = json.loads(process.stdout.splitlines()[-1])
    assert found["answers"] + found["errors"] == 2000
    assert found["answers"] > 100 and found["errors"] > 500
    assert found["megabytes"] < 1024
