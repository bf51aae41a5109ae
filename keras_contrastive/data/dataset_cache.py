"""Large photographs, shortened once and kept on disk."""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil

import keras
import tensorflow as tf

from keras_contrastive.checks import check_count
from keras_contrastive.data.file_format import is_tiff
from keras_contrastive.data.label_table import NAME as LABELS
from keras_contrastive.data.list_images import list_images
from keras_contrastive.files import full_disk, hold, let_go, write_json
from keras_contrastive.image_io import decode_image, is_deep_png

_VERSION = 1
_NOTE = "cache.json"


class DatasetCache(os.PathLike):
    """A folder of large photographs again, shortened: epochs do not wait for JPEG.

    Decoding a photograph of 12 million pixels takes a tenth of a second of a core, a
    view of it needs a hundredth of its pixels. The cache holds every image with its
    shorter side brought to `short_side` (bilinear, against aliasing; upright by EXIF),
    PNGs as PNG, all others as JPEG, and under the same name, so that class folders and
    `labels.csv` keep their meaning. It is a path, and goes wherever a folder of images
    goes. Crops come from the smaller picture: take twice the size of the views or more.

    It is made at once, or goes on where it was interrupted, and is found again after
    that: files are compared by name, size and time of change. Smaller images, TIFFs and
    PNGs of 16 bits are copied as they are, and so is what cannot be decoded, so that
    `on_error` of a loader deals with it as ever.

    Args:
        source: Folder of images, as `views_from_directory` reads it.
        folder: Folder of the cache, new or of the same images and settings.
        short_side: Pixels of the shorter side.
        quality: Of JPEG, 1 to 100, without subsampled colours.
        workers: Threads; by default as many as cores.
        verbose: 0 shows no progress.

    Attributes:
        path: The folder of the cache.
        num_images: Images in it.

    Raises:
        BlockingIOError: Another process is making it.
        OSError: It cannot be written, or the disk is full. What is done stays.
        ValueError: `source` holds no images; `folder` is something else, or the cache
            of other images, of other settings or of another version.

    Example:
        >>> photos = kc.data.DatasetCache(
        ...     "photos", "photos_64", short_side=64, verbose=0)
        >>> photos.num_images
        4
        >>> policy = kc.augmentations.simclr(32)
        >>> views = kc.data.views_from_directory(
        ...     photos, augmentation=policy, batch_size=2)
    """

    def __init__(
        self, source, folder, short_side=256, quality=95, workers=None, verbose=1
    ):
        check_count("short_side", short_side)
        if check_count("quality", quality) > 100:
            raise ValueError(f"`quality` must be in [1, 100]. Received: {quality}")
        workers = check_count("workers", workers or os.cpu_count() or 1)
        self.path = pathlib.Path(folder)
        self.short_side, self.quality = short_side, quality
        source = pathlib.Path(source)
        if self.path.resolve().is_relative_to(source.resolve()):
            raise ValueError(
                "`folder` must lie outside of `source`, whose images it would join. "
                f"Received: {str(self.path)!r} in {str(source)!r}"
            )
        files = [pathlib.Path(f).relative_to(source) for f in list_images(source)[0]]
        self.num_images = len(files)
        about = self._describe(source, files)
        if not self._is_there(self.path, about):
            self._make(source, files, about, workers, verbose)

    def __fspath__(self):
        return os.fspath(self.path)

    def __repr__(self):
        return f"DatasetCache({str(self.path)!r}, {self.num_images:,} images)"

    def _describe(self, source, files):
        """What the cache is of, as its note has it."""
        digest = hashlib.sha256()
        table = [pathlib.Path(LABELS)] if (source / LABELS).is_file() else []
        for file in (*files, *table):
            status = (source / file).stat()
            line = f"{file.as_posix()}\0{status.st_size}\0{status.st_mtime_ns}\n"
            digest.update(line.encode())
        return {
            "version": _VERSION,
            "short_side": self.short_side,
            "quality": self.quality,
            "images": len(files),
            "source": digest.hexdigest(),
        }

    def _is_there(self, folder, about):
        """Whether a folder is this cache, whole; raise if it is anything else."""
        if not folder.exists():
            return False
        try:
            found = json.loads((folder / _NOTE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if not isinstance(found, dict):
            raise ValueError(
                f"`folder` must be new, or a cache. Received: {str(folder)!r}, which "
                f"holds no {_NOTE}. Choose another folder."
            )
        other = [key for key in about if found.get(key) != about[key]]
        if other:
            parts = ", ".join(f"{k} {found.get(k)} and not {about[k]}" for k in other)
            raise ValueError(
                f"{str(folder)!r} is a cache of other images or settings: {parts}. "
                "Delete it, or choose another folder."
            )
        return True

    def _make(self, source, files, about, workers, verbose):
        """Fill a folder beside it, and rename that when it is whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock = hold(self.path.with_name(f".{self.path.name}.lock"))
        except BlockingIOError as error:
            raise BlockingIOError(
                error.errno,
                f"{str(self.path)!r} is being made by {error.strerror}. Wait for it, "
                "or choose another folder",
            ) from None
        try:
            if self._is_there(self.path, about):  # another one has just made it
                return
            building = self.path.with_name(f".{self.path.name}.building")
            note = building / _NOTE
            if not note.exists() or json.loads(note.read_text()) != about:
                if building.exists():
                    shutil.rmtree(building)  # of other images, or of nobody
                building.mkdir()
                write_json(note, about)
            for folder in {file.parent for file in files}:
                (building / folder).mkdir(parents=True, exist_ok=True)
            with full_disk(self.path, self.num_images * self.short_side**2):
                self._shorten_all(source, building, files, workers, verbose)
            os.replace(building, self.path)
        finally:
            if lock is not None:
                let_go(lock)

    def _shorten_all(self, source, building, files, workers, verbose):
        if (source / LABELS).is_file():
            shutil.copyfile(source / LABELS, building / LABELS)
        left = [file for file in files if not (building / file).exists()]
        bar = keras.utils.Progbar(len(left), verbose=verbose, unit_name="image")
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            done = pool.map(lambda f: self._shorten(source / f, building / f), left)
            try:
                for _ in done:
                    bar.add(1)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    def _shorten(self, file, target):
        data = file.read_bytes()
        short = data if is_tiff(file) else self._shortened(data)
        part = target.with_name(f"{target.name}.part")
        part.write_bytes(short)
        os.replace(part, target)

    def _shortened(self, data):
        """Return the bytes of the smaller image, or the same ones."""
        is_png = data[:4] == b"\x89PNG"
        if is_png and bool(is_deep_png(data[:25])):
            return data
        try:
            image = decode_image(data)
        except tf.errors.InvalidArgumentError:
            return data
        height, width, _ = image.shape
        ratio = self.short_side / min(height, width)
        if ratio >= 1:
            return data
        size = max(1, round(height * ratio)), max(1, round(width * ratio))
        image = tf.image.resize(image, size, antialias=True)
        image = tf.cast(tf.round(tf.clip_by_value(image, 0, 255)), tf.uint8)
        if is_png:
            return tf.io.encode_png(image).numpy()
        jpeg = tf.io.encode_jpeg(image, quality=self.quality, chroma_downsampling=False)
        return jpeg.numpy()
