"""The peer's own virtual environment, outside the repository."""

import json
import pathlib
import subprocess
import sys
import venv

LIGHTLY = ("lightly==1.6.0", "torch==2.13.0", "torchvision==0.28.0")


def python_with(packages, folder, pip_options=()):
    """Python of a virtual environment that has `packages`, made if it is missing.

    Args:
        packages: Pinned requirements.
        folder: Where the environment is, or will be.
        pip_options: More arguments of `pip install`.

    Returns:
        Path of the interpreter.

    Raises:
        RuntimeError: If the packages cannot be installed.
    """
    folder = pathlib.Path(folder).expanduser()
    python = folder / "bin" / "python"
    stamp = folder / "installed.json"  # the last thing that is written
    wanted = {"packages": list(packages), "python": sys.version}
    if stamp.exists() and json.loads(stamp.read_text()) == wanted:
        return python
    print(f"installing {', '.join(packages)} into {folder} (minutes, once)", flush=True)
    venv.create(folder, clear=True, with_pip=True)
    command = [python, "-m", "pip", "install", "--quiet", *pip_options, *packages]
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        lines = process.stderr.strip().splitlines() or ["pip install failed"]
        raise RuntimeError(lines[-1])
    stamp.write_text(json.dumps(wanted))
    return python
