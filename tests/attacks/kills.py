"""Writers that are killed at random moments: the old one or the new one, never half.

    python tests/attacks/kills.py 10               # 10 kills of each kind, POSIX
    python tests/attacks/kills.py 20 preset model

A process writes one version after the other; SIGKILL ends it within the second or
third. What is there then must be whole and be read by another process, and the next
write must leave no temporary file, neither beside it nor among those of the system.
"""

import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import artefacts

KINDS = ("preset", "numbers", "saved_model", "tflite", "model", "checkpoint")


def write_for_ever(kind, folder):
    """What the victim does."""
    write, _ = artefacts.ALL[kind]
    n = 1
    while True:
        start = time.monotonic()
        write(pathlib.Path(folder), n)
        print(time.monotonic() - start, flush=True)
        n += 1


def kill_one(kind, folder):
    """Start a victim, and kill it and its children in the middle of a write."""
    call = f"import kills; kills.write_for_ever({kind!r}, {str(folder)!r})"
    victim = subprocess.Popen(
        [sys.executable, "-c", call],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    seconds = float(victim.stdout.readline())  # of the first write
    time.sleep(random.uniform(0, 2 * seconds))
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()


def main():
    """Kill, read, write again, count."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    for kind in sys.argv[2:] or KINDS:
        write, check = artefacts.ALL[kind]
        bad, left_by_kills = [], 0
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "tmp").mkdir()
            os.environ["TMPDIR"] = tempfile.tempdir = str(folder / "tmp")
            for i in range(count):
                kill_one(kind, folder)
                left_by_kills += bool(artefacts.leftovers(folder))
                try:
                    assert check(folder) is not None, "it is gone"
                    write(folder, 500 + i)
                    assert not artefacts.leftovers(folder), artefacts.leftovers(folder)
                    check(folder)
                except Exception as error:
                    bad.append(f"{type(error).__name__}: {str(error)[:300]}")
            tempfile.tempdir = None
            del os.environ["TMPDIR"]
        print(
            f"{kind:12}{count} kills, {left_by_kills} left temporary files until the "
            f"next write, {len(bad)} bad",
            *bad,
            sep="\n  ",
            flush=True,
        )


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve()
    os.environ["PYTHONPATH"] = f"{root.parent}:{root.parents[2]}"
    main()
