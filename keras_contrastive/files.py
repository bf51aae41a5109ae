"""Files and folders that appear whole or not at all, whoever is killed meanwhile.

What is written has a temporary name beside its target until it is complete. Its writer
holds a `flock` on it, which the kernel releases when the process dies: the next write
into the same folder removes what nobody holds. Locks do not always reach other
machines, so what another one has left, or this one before a restart, is removed only
after a week. Where the file system has no locks (some NFS), nothing is removed.
"""

import contextlib
import ctypes
import errno
import functools
import hashlib
import io
import json
import os
import pathlib
import platform
import shutil
import tempfile
import threading
import time
from importlib import metadata as installed

import keras

try:
    import fcntl
except ImportError:  # Windows: no locks, and nothing is removed
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".keras_contrastive-"
_WEEK = 7 * 24 * 3600  # seconds
_PACKAGES = ("keras-contrastive", "keras", "tensorflow", "numpy")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_THREAD = threading.local()
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # fcntl.h, linux/fs.h


def write_bytes(path, content: bytes | memoryview) -> None:
    """Write a file at once: readers see the old or the new one, never half of it.

    Args:
        path: The file; its folder exists. A link is followed.
        content: All of it.

    Raises:
        OSError: It cannot be written, or the disk is full. What was there stays.
    """
    with full_disk(path, len(content)), temporary_file(path) as temporary:
        temporary.write_bytes(content)


def write_json(path, content) -> None:
    """Write JSON as `write_bytes` does."""
    write_bytes(path, to_json(content))


def to_json(content) -> bytes:
    """Return JSON as we write it; NumPy's numbers and arrays become JSON's."""
    return (json.dumps(content, indent=2, default=_jsonable) + "\n").encode()


def _jsonable(value):
    """NumPy numbers and arrays, paths: what metrics tend to hold."""
    for convert in ("item", "tolist"):
        try:
            return getattr(value, convert)()
        except (AttributeError, ValueError):
            continue
    return str(value)


class MemoryFile(io.BytesIO):
    """A file in memory that Keras takes for one with a name.

    On a full disk HDF5 raises errors of its own, or crashes the process when it closes
    the file. So what Keras saves is made in memory, and written by `write_bytes`.

    Args:
        name: What it would be called; Keras looks at the ending.
        content: What is in it.

    Example:
    >>> file = MemoryFile(".weights.h5")
    >>> kc.encoders.resnet(depth=10, width=4).save_weights(file)
    >>> write_bytes("encoder.weights.h5", file.getvalue())
    """

    def __init__(self, name: str, content: bytes = b""):
        super().__init__(content)
        self.name = name

    def __str__(self):
        return self.name


def write_model(path, model: keras.Model) -> None:
    """Write a `.keras` file as `write_bytes` does: made in memory, then written."""
    file = MemoryFile(".keras")
    keras.saving.save_model(model, file)
    write_bytes(path, file.getvalue())


def write_figure(path, figure, **options) -> None:
    """Write a figure of matplotlib as `write_bytes` does; the ending is its format.

    Args:
        path: The file, `curves.png` for example.
        figure: Has `savefig`.
        **options: Of `savefig`.
    """
    file = io.BytesIO()
    kind = pathlib.Path(path).suffix[1:] or "png"
    figure.savefig(file, **{"format": kind} | options)
    write_bytes(path, file.getvalue())


@contextlib.contextmanager
def full_disk(path, num_bytes: int):
    """Within it, the error of a full disk is one sentence with the path and the size.

    Args:
        path: What is written.
        num_bytes: How much space it needs.

    Raises:
        OSError: With its `errno`, whatever the block raised for a full disk.
    """
    try:
        yield
    except Exception as error:
        # The errors of TensorFlow have no number, only its text.
        known, text = getattr(error, "errno", None), str(error)
        full = [n for n in _FULL if n == known or os.strerror(n) in text]
        if not full:
            raise
        raise OSError(
            full[0],
            f"{str(path)!r} needs {num_bytes:,} bytes: {os.strerror(full[0])}. "
            "What was there before is still there; nothing of the new one is. Free "
            "space or choose another folder.",
        ) from error


@contextlib.contextmanager
def temporary_file(path):
    """Give the path of an empty file that replaces `path` if the block succeeds.

    Args:
        path: The file; its folder exists. A link is followed.

    Yields:
        A path in the same folder, with the same ending.

    Raises:
        OSError: It cannot be written. What was at `path` stays.
    """
    path = pathlib.Path(os.path.realpath(path))
    with _temporary(path.parent, path.name, pathlib.Path.touch) as temporary:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)


@contextlib.contextmanager
def scratch_folder(num_bytes: int):
    """Give a folder among the system's temporary files, which is removed after.

    Unlike those of `tempfile`, one of a killed process goes with the next such folder.

    Args:
        num_bytes: How much space is needed, for the message.

    Yields:
        Its path. Nobody but the user can look into it.

    Raises:
        OSError: The disk is full.
    """
    base = pathlib.Path(tempfile.gettempdir())
    make = functools.partial(pathlib.Path.mkdir, mode=0o700)
    with full_disk(base, num_bytes), _temporary(base, "", make) as folder:
        yield folder


@contextlib.contextmanager
def temporary_sibling(base):
    """Give a new hidden folder in `base`, which TF Serving ignores; remove it after.

    Args:
        base: The base folder; made if it does not exist, and removed again if the
            block raises and leaves it empty.

    Yields:
        The path of the temporary folder. What is to stay is renamed.

    Raises:
        OSError: The base folder cannot be made or written.
    """
    base = pathlib.Path(base)
    new = not base.exists()
    with contextlib.ExitStack() as stack:
        try:
            base.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(_temporary(base, "", pathlib.Path.mkdir))
        except OSError as error:
            raise OSError(
                error.errno,
                f"This needs a folder that can be written. Received: {str(base)!r} "
                f"({error.strerror}). Free space or choose another folder.",
            ) from error
        if new:
            stack.callback(_remove_if_empty, base)
            stack.callback(_remove, temporary)
        yield temporary


def replace_folder(temporary, target) -> None:
    """Put a finished folder in place of another; at no time is there neither.

    Args:
        temporary: A folder of `temporary_sibling`, which takes away what was replaced.
        target: Its final path, in the same folder.

    Raises:
        OSError: It cannot be renamed; what was there is there.
    """
    temporary, target = pathlib.Path(temporary), pathlib.Path(target)
    if not target.exists():
        with contextlib.suppress(OSError):
            os.rename(temporary, target)
            return
    if _exchange(temporary, target):
        return
    # Not Linux, or a file system that cannot exchange (NFS): two renames, and whoever
    # comes by after a kill between them takes the first one back.
    with locked(target.parent):
        shutil.rmtree(_aside(target), ignore_errors=True)
        try:
            os.rename(target, _aside(target))
            os.rename(temporary, target)
        finally:
            recover(target)
        shutil.rmtree(_aside(target), ignore_errors=True)


def recover(target) -> None:
    """Bring back a folder whose writer was killed between two renames, if it was."""
    target = pathlib.Path(os.path.realpath(target))  # a link leads to where it was
    if target.exists() or not _aside(target).is_dir():
        return
    with locked(target.parent), contextlib.suppress(OSError):
        if not target.exists():  # its writer may be at work, and is waited for
            os.rename(_aside(target), target)


def _aside(target):
    return target.with_name(f".replaced-{target.name}")


def _exchange(one, other):
    """Exchange two paths at once; False where that does not exist."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):
        return False
    paths = _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other)
    return rename(*paths, _RENAME_EXCHANGE) == 0


@contextlib.contextmanager
def locked(folder):
    """Let one process at a time into the block, if the file system has locks.

    A thread that is in the block may enter it again.
    """
    folder = os.path.realpath(folder)
    if folder in _held():
        yield
        return
    descriptor = _lock(folder, wait=True)
    _held().add(folder)
    try:
        yield
    finally:
        _held().discard(folder)
        _unlock(descriptor)


def hold(path):
    """Lock a file for a long time, and write into it who holds it.

    Args:
        path: The file, made if it is not there; its folder exists.

    Returns:
        The open file, for `let_go`; None where there are no locks. The kernel releases
        the lock when the process dies.

    Raises:
        BlockingIOError: Another one holds it: process and host are its `strerror`.
    """
    while fcntl is not None:
        file = open(path, "a+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):
                holder = f"process {os.getpid()} on host {platform.node()}"
                with contextlib.suppress(OSError):  # a full disk
                    file.truncate(0)
                    file.write(holder.encode())
                return file
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().decode() or "another process"
            file.close()
            raise BlockingIOError(error.errno, holder) from None
        except FileNotFoundError:
            pass  # its last holder has just taken it away
        except OSError:
            break
        file.close()
    return None


def let_go(file) -> None:
    """Remove a file of `hold`, and let others have it."""
    pathlib.Path(file.name).unlink(missing_ok=True)
    file.close()


def _held():
    """The real paths that this thread has locked."""
    return _OF_THREAD.__dict__.setdefault("held", set())


@contextlib.contextmanager
def _temporary(base, name, make):
    """A new file or folder in `base` under a name that ends in `name`; removed after.

    It gets the name by which others know it as temporary when it is locked: without a
    lock it would look as if its writer were gone.
    """
    _remove_what_the_dead_left(base)
    new = base / f"{_PREFIX}new-{os.urandom(6).hex()}-{name[-80:]}"
    path = new.with_name(new.name.replace("new", _KERNEL, 1))
    descriptor = None
    try:
        make(new)
        descriptor = _lock(new)
        os.rename(new, path)
        _held().add(os.path.realpath(path))
        yield path
    finally:
        _held().discard(os.path.realpath(path))
        _remove(new)
        _remove(path)
        _unlock(descriptor)


def _remove_what_the_dead_left(base):
    for path in pathlib.Path(base).glob(f"{_PREFIX}*-*"):
        descriptor = _lock(path)
        with contextlib.suppress(OSError):
            age = time.time() - path.lstat().st_mtime
            here = path.name.startswith(f"{_PREFIX}{_KERNEL}-")
            if descriptor is not None and (here or age > _WEEK):
                _remove(path)
        _unlock(descriptor)


def _remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _remove_if_empty(folder):
    with contextlib.suppress(OSError):
        folder.rmdir()


def _lock(path, wait=False):
    """An open descriptor with the lock, or None: another has it, or there are none."""
    if fcntl is None:
        return None
    descriptor = None
    try:  # neither a link nor a pipe leads or holds it elsewhere
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return descriptor
    except OSError:
        _unlock(descriptor)
        return None


def _unlock(descriptor):
    if descriptor is not None:
        os.close(descriptor)


def _kernel():
    """What the processes among which `flock` is sure have in common, as a name."""
    try:  # containers on one machine, but not the machine after a restart
        name = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:12]


_KERNEL = _kernel()


def sha256(path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def package_versions(*more: str) -> dict[str, str]:
    """Return the versions of Python and of the packages that files depend on."""
    versions = {"python": platform.python_version()}
    for package in (*_PACKAGES, *more):
        try:
            versions[package] = installed.version(package)
        except installed.PackageNotFoundError:
            versions[package] = "not installed"
    return versions
