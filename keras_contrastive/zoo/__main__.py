"""`python -m keras_contrastive.zoo`: the presets from a terminal.

list             names of the shipped presets
show NAME        the card of a preset
verify [NAME]    measure its numbers again (of all shipped ones without a name)
table            README's table; --write=README.md puts it there
register         enter keras_contrastive/zoo/presets/* in the registry (maintainers)
"""

import os
import pathlib
import sys

# Unless the user wants them: TensorFlow's greetings would bury what is asked for.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from absl import app, flags, logging  # noqa: E402

from keras_contrastive import zoo  # noqa: E402
from keras_contrastive.zoo import readme, registry  # noqa: E402


def _list(_, __):
    print("\n".join(zoo.list_presets()) or zoo.table())


def _show(names, _):
    for name in names or zoo.list_presets():
        folder = pathlib.Path(zoo.describe(name)["folder"])
        print((folder / "README.md").read_text(encoding="utf-8"))


def _verify(names, values):
    passed = True
    for name in names or zoo.list_presets():
        report = zoo.verify(name, data_dir=values.data_dir)
        print(report, flush=True)
        passed &= report.passed
    return 0 if passed else 1


def _table(_, values):
    if values.write is None:
        print(zoo.table())
        return
    path = pathlib.Path(values.write)
    text = readme.with_table(path.read_text(encoding="utf-8"), zoo.table())
    path.write_text(text, encoding="utf-8")


def _register(_, __):
    print(f"registered: {', '.join(registry.register()) or 'nothing'}")


_COMMANDS = {
    "list": _list,
    "show": _show,
    "verify": _verify,
    "table": _table,
    "register": _register,
}


def run(argv: list[str], values) -> int:
    """Run one command and return the exit status.

    Args:
        argv: Program, command, and names of presets.
        values: Has `data_dir` and `write`, or None for each.

    Returns:
        0, or 1 for wrong usage, an error or numbers that differ.
    """
    command = _COMMANDS.get(argv[1]) if len(argv) > 1 else None
    if command is None:
        print(__doc__, file=sys.stderr)
        return 1
    try:
        return command(argv[2:], values) or 0
    except (ValueError, OSError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "verify: where TFDS data sets are prepared.")
    flags.DEFINE_string("write", None, "table: the README to put the table into.")
    logging.set_verbosity(logging.ERROR)  # TFDS says a lot
    app.run(lambda argv: sys.exit(run(argv, flags.FLAGS)))
