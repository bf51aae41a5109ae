"""keras-contrastive zoo COMMAND: presets.

list             names of the shipped presets
show [NAME]      the card of a preset
verify [NAME]    measure its numbers again (of all shipped ones without a name)
fetch PRESET [FOLDER]
                 download a preset, hf://owner/name or https://, and check it; into the
                 cache, where all commands find it, or into a folder of its own
publish PRESET DESTINATION
                 put it at hf://owner/name, into a folder or a .zip; --dry_run shows how
to_torch PRESET FILE
                 write a ResNet's weights for PyTorch, .pth or .safetensors
convert FILE PRESET --source=NAME
                 make a preset of weights that others published
sources          what convert knows, with licences
table            README's table; --write=README.md puts it there
register         enter keras_contrastive/zoo/presets/* in the registry (maintainers)
"""

import pathlib

from absl import flags

from keras_contrastive import zoo
from keras_contrastive.cli.main import UsageError, near
from keras_contrastive.files import write_bytes
from keras_contrastive.zoo import card, sources
from keras_contrastive.zoo.preset_files import printable

FLAGS = flags.FlagValues()
_DATA = flags.DEFINE_string(
    "data_dir", None, "verify: where TFDS data sets are prepared.", flag_values=FLAGS
)
_WRITE = flags.DEFINE_string(
    "write", None, "table: the README to put the table into.", flag_values=FLAGS
)
_SOURCE = flags.DEFINE_string(
    "source", None, "convert: where the file is from; see `sources`.", flag_values=FLAGS
)
_HEAD = flags.DEFINE_bool(
    "head", False, "convert: write the heads, too, beside.", flag_values=FLAGS
)
_SIZE = flags.DEFINE_integer(
    "size", None, "convert: pixels of a side of the images.", flag_values=FLAGS
)
_DRY_RUN = flags.DEFINE_bool(
    "dry_run", False, "publish: change nothing, show the card.", flag_values=FLAGS
)
_PRIVATE = flags.DEFINE_bool(
    "private", False, "publish: a new repository is private.", flag_values=FLAGS
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "convert: replace a preset.", flag_values=FLAGS
)


def run(arguments: list[str]) -> int | None:
    """Run one of the commands."""
    if not arguments or arguments[0] not in COMMANDS:
        close = near(arguments[0] if arguments else "", COMMANDS)
        raise UsageError(f"Expected a command of zoo. {close}")
    return COMMANDS[arguments[0]](arguments[1:])


def _say(text):
    """Print, but for what a preset from elsewhere could do to the terminal."""
    print(printable(text), flush=True)


def _list(_):
    print("\n".join(zoo.list_presets()) or zoo.table())


def _show(names):
    for name in names or zoo.list_presets():
        text = sources.read(name).contents["README.md"]
        _say(text.decode("utf-8", "replace"))


def _verify(names):
    passed = True
    for name in names or zoo.list_presets():
        report = zoo.verify(name, data_dir=_DATA.value)
        _say(report)
        passed &= report.passed
    return 0 if passed else 1


def _fetch(arguments):
    if len(arguments) not in (1, 2):
        raise UsageError("Expected: zoo fetch PRESET, and perhaps FOLDER.")
    if arguments[1:]:
        _say(_published(zoo.publish(*arguments)))
    else:
        about = zoo.describe(arguments[0])
        _say(f"{about['folder']}\nsha256 {about['sha256']}")


def _publish(arguments):
    if len(arguments) != 2:
        raise UsageError("Expected: zoo publish PRESET DESTINATION.")
    done = zoo.publish(*arguments, dry_run=_DRY_RUN.value, private=_PRIVATE.value)
    if _DRY_RUN.value:
        _say(f"{done['card']}\nNothing was written. It would be:")
    _say(_published(done))


def _published(done):
    names = ", ".join(f"{name} ({n:,} bytes)" for name, n in done["files"].items())
    return f"{done['destination']}: {names}\nsha256 {done['sha256']}"


def _to_torch(arguments):
    if len(arguments) != 2:
        raise UsageError("Expected: zoo to_torch PRESET FILE.")
    preset, path = arguments
    _say(zoo.to_torch(zoo.from_preset(preset), path))


def _convert(arguments):
    if len(arguments) != 2 or _SOURCE.value is None:
        raise UsageError(
            "Expected: zoo convert FILE PRESET --source=NAME. "
            f"{near(_SOURCE.value or '', zoo.SOURCES)}"
        )
    path, output = arguments
    shape = None if _SIZE.value is None else (_SIZE.value, _SIZE.value, 3)
    preset = zoo.convert(
        path, _SOURCE.value, output, _HEAD.value, shape, overwrite=_OVERWRITE.value
    )
    about = zoo.describe(preset)
    _say(f"{preset}: {about['architecture']}, {about['params']:,} parameters")
    _say(f"licence: {about['licence']} ({about['source']})")
    for row in about["published"]:
        _say(f"published there, not measured here: {' '.join(map(str, row))}")


def _sources(_):
    for name, source in zoo.SOURCES.items():
        _say(f"{name:22}{source.method}; {source.licence}; {source.url}")


def _table(_):
    if _WRITE.value is None:
        _say(zoo.table())
        return
    path = pathlib.Path(_WRITE.value)
    text = card.with_table(path.read_text(encoding="utf-8"), zoo.table())
    write_bytes(path, text.encode())


def _register(_):
    print(f"registered: {', '.join(sources.register()) or 'nothing'}")


COMMANDS = {
    "list": _list,
    "show": _show,
    "verify": _verify,
    "fetch": _fetch,
    "publish": _publish,
    "to_torch": _to_torch,
    "convert": _convert,
    "sources": _sources,
    "table": _table,
    "register": _register,
}
