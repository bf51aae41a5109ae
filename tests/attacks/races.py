"""Two writers and two readers at a time: nobody sees half of it, nothing is lost.

    python tests/attacks/races.py 30               # 30 writes of each writer
    python tests/attacks/races.py 100 numbers

Every read must give a whole version, at any moment; in the end what both writers have
added must be there, and no temporary file.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

import artefacts

KINDS = ("preset", "numbers", "versions", "entries", "model")
ADDING = ("numbers", "versions", "entries")  # `check` counts what is there


def write_many(kind, folder, first, count):
    """What a writer does."""
    write, _ = artefacts.ALL[kind]
    for n in range(first, first + count):
        write(pathlib.Path(folder), n)
    print(f"{count}\n0")


def read_on(kind, folder):
    """What a reader does until it is told to stop; prints reads and failures."""
    _, check = artefacts.ALL[kind]
    reads, bad, folder = 0, [], pathlib.Path(folder)
    while not (folder / "stop").exists():
        reads += 1
        try:
            assert check(folder) is not None, "it is gone"
        except Exception as error:
            bad.append(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
    print(f"{reads}\n{len(bad)}", *bad[:3], sep="\n")


def start(function, *arguments):
    """Start a function of this module in a process of its own."""
    call = f"import races; races.{function}{arguments!r}"
    return subprocess.Popen(
        [sys.executable, "-c", call], stdout=subprocess.PIPE, text=True
    )


def main():
    """Race for each kind, and count."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    for kind in sys.argv[2:] or KINDS:
        write, check = artefacts.ALL[kind]
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            write(folder, 0)
            writers = [
                start("write_many", kind, str(folder), first, count)
                for first in (1, 1 + count)
            ]
            readers = [start("read_on", kind, str(folder)) for _ in range(2)]
            written = [process.communicate()[0] for process in writers]
            (folder / "stop").touch()
            read = [process.communicate()[0].split("\n", 2) for process in readers]
            lost = 0
            if kind in ADDING:
                lost = 2 * count + 1 - check(folder)
            failed = sum(not text for text in written)
            print(
                f"{kind:12}{2 * count} writes ({failed} writers failed), "
                f"{sum(int(x[0]) for x in read)} reads, "
                f"{sum(int(x[1]) for x in read)} of them bad, {lost} lost, "
                f"{len(artefacts.leftovers(folder))} temporary files left",
                *[x[2] for x in read if x[2]],
                sep="\n  ",
                flush=True,
            )


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve()
    os.environ["PYTHONPATH"] = f"{root.parent}:{root.parents[2]}"
    main()
