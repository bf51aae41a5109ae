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
from keras_contrastive.files import write_bytes  # noqa: E402
from keras_contrastive.zoo import card, sources  # noqa: E402
from keras_contrastive.zoo.preset_files import printable  # noqa: E402


def _say(text, file=None):
    """Print, but for what a preset from elsewhere could do to the terminal."""
    print(printable(text), file=file, flush=True)


def _list(_, __):
    print("\n".join(zoo.list_presets()) or zoo.table())


def _show(names, _):
    for name in names or zoo.list_presets():
        text = sources.read(name).contents["README.md"]
        _say(text.decode("utf-8", "replace"))


def _verify(names, values):
    passed = True
    for name in names or zoo.list_presets():
        report = zoo.verify(name, data_dir=values.data_dir)
        _say(report)
        passed &= report.passed
    return 0 if passed else 1


def _table(_, values):
    if values.write is None:
        _say(zoo.table())
        return
    path = pathlib.Path(values.write)
    text = card.with_table(path.read_text(encoding="utf-8"), zoo.table())
    write_bytes(path, text.encode())


def _register(_, __):
    print(f"registered: {', '.join(sources.register()) or 'nothing'}")


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
        _say(f"error: {error}", sys.stderr)
        return 1


if __name__ == "__main__":
    flags.DEFINE_string("data_dir", None, "verify: where TFDS data sets are prepared.")
    flags.DEFINE_string("write", None, "table: the README to put the table into.")
    logging.set_verbosity(logging.ERROR)  # TFDS says a lot
    app.run(lambda argv: sys.exit(run(argv, flags.FLAGS)))
