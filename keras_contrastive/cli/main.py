"""What all commands share: their names, flags, errors and exit codes.

A command is a module with `FLAGS`, which holds its flags and no others, and a function
`run`, from the arguments that are no flags to an exit code or None. Its docstring is
the help.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | it failed, or what was verified is wrong: one sentence says why |
| 2 | the command or a flag is wrong |
| 130, 143 | interrupted by SIGINT, SIGTERM |
"""

import difflib
import importlib
import os
import signal
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # unless the user wants more

from absl import flags, logging  # noqa: E402

from keras_contrastive.zoo.preset_files import printable  # noqa: E402

COMMANDS = {
    "pretrain": "train an encoder on images without labels",
    "evaluate": "measure an encoder: kNN, linear, class by class",
    "report": "one HTML file on what an encoder has learned",
    "export": "write SavedModel, TF-Lite and ONNX, each compared with the encoder",
    "search": "nearest neighbours and near-duplicates of images in a folder",
    "zoo": "list, show and verify presets",
}
_HELP = ("-h", "--help", "help")


class UsageError(Exception):
    """A command or flag that cannot be: exit code 2."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came."""


def main(argv: list[str] | None = None) -> int:
    """Run one command.

    SIGTERM ends it as SIGINT does.

    Args:
        argv: The command and its arguments, by default those of the process.

    Returns:
        The exit code, see above.
    """
    argv = sys.argv[1:] if argv is None else argv
    logging.set_verbosity(logging.ERROR)
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        return run(argv)
    except Terminated:
        return 128 + signal.SIGTERM
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (UsageError, flags.Error) as error:
        _say(f"{error}\n`keras-contrastive {' '.join(argv[:1])} --help` says more.")
        return 2
    except (ArithmeticError, ImportError, LookupError, OSError, ValueError) as error:
        _say(f"error: {error}")
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)


def run(argv: list[str]) -> int:
    """Run one command; what goes wrong is raised."""
    name, *arguments = argv or ["--help"]
    if name in _HELP:
        print(overview())
        return 0
    module = importlib.import_module(f"keras_contrastive.cli.{_command(name)}")
    if any(argument in _HELP for argument in arguments):
        print(f"{str(module.__doc__).strip()}\n{module.FLAGS.get_help()}")
        return 0
    module.FLAGS.unparse_flags()
    _, *rest = module.FLAGS([name, *arguments])
    return module.run(rest) or 0


def overview() -> str:
    """Return the list of commands."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {about}" for name, about in COMMANDS.items()]
    return "\n".join(["keras-contrastive COMMAND [--flags]", "", *lines])


def near(name: str, names) -> str:
    """Return a sentence with names that are near, or with all of a few."""
    close = difflib.get_close_matches(name, names, n=4, cutoff=0.5) or sorted(names)
    return f"Choose of {', '.join(close)}."


def _command(name):
    if name not in COMMANDS:
        raise UsageError(f"There is no command {name!r}. {near(name, COMMANDS)}")
    return name


def _terminate(*_):
    raise Terminated


def _say(text):
    """Print, but for what a file from elsewhere could do to the terminal."""
    print(printable(text), file=sys.stderr, flush=True)
