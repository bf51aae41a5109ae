"""Presets that are damaged, or made to do harm: none is accepted, none costs much.

    python tests/attacks/hostile_presets.py 100    # 100 of each kind, 20 of slow ones

Flipped bits, truncated files; weights, configurations and archives of a few bytes that
stand for gigabytes, or hold code or NaN; servers that send too much, too slowly,
nothing, or elsewhere. Each must be refused by a ValueError or an OSError. Prints how
many were, the longest time of one, and by how much the memory of the process grew.
"""

import functools
import http.server
import io
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
import zipfile

import h5py
import keras
import numpy as np

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "zoo")]
from damage import rewrite  # noqa: E402

import keras_contrastive as kc  # noqa: E402
from keras_contrastive.zoo import preset_files, sources  # noqa: E402
from keras_contrastive.zoo.preset_files import (  # noqa: E402
    CONFIG,
    FILES,
    METADATA,
    WEIGHTS,
)


def flip(preset):
    """One bit of one file."""
    path = preset / random.choice((METADATA, *FILES))
    content = bytearray(path.read_bytes())
    content[random.randrange(len(content))] ^= 1 << random.randrange(8)
    path.write_bytes(content)


def truncate(preset):
    path = preset / random.choice((METADATA, *FILES))
    path.write_bytes(path.read_bytes()[: random.randrange(path.stat().st_size)])


def weights(preset):
    """Weights that are not what they seem, with all hashes right."""
    with h5py.File(preset / WEIGHTS, "a") as file:
        names = []
        file.visititems(lambda n, x: names.append(n) if hasattr(x, "shape") else None)
        name = random.choice(names)
        value, shape = file[name][()], file[name].shape
        del file[name]
        harm = random.choice(("compressed", "huge", "elsewhere", "link", "nan", "less"))
        if harm == "compressed":
            packed = {"chunks": True, "compression": "gzip"}
            file.create_dataset(name, (2**14, 2**14), "float32", **packed)
        elif harm == "huge":
            file.create_dataset(name, (2**20, 2 ** random.randint(5, 14)), "float32")
        elif harm == "elsewhere":
            outside = [("/etc/passwd", 0, 2**30)]
            file.create_dataset(name, shape, "float32", external=outside)
        elif harm == "link":
            file[name] = h5py.ExternalLink("/etc/passwd", "x")
        elif harm == "nan":
            value = value.astype("float32")
            value.flat[random.randrange(value.size)] = random.choice((np.nan, np.inf))
            file[name] = value
    listed = {WEIGHTS: preset_files.fingerprint((preset / WEIGHTS).read_bytes())}
    rewrite(preset, METADATA, lambda x: x["files"].update(listed))


def configuration(preset):
    """A configuration of gigabytes, or of code, or of escapes for the terminal."""

    def change(config):
        layers = config["config"]["layers"]
        layer = random.choice([x for x in layers if x["class_name"] == "Dense"])
        harm = random.randrange(4)
        if harm == 0:
            layer["config"]["units"] = 10 ** random.randint(5, 10)
        elif harm == 1:
            layer.update(module="keras.layers", class_name="Lambda")
        elif harm == 2:
            layer["config"]["name"] = layer["name"] = "\x1b]0;owned\x07"
        else:
            layer.update(module="os", class_name="system", registered_name=None)

    rewrite(preset, CONFIG, change)


def load_archive(preset):
    """A `.zip` that unpacks to much, lies about its sizes, or leads elsewhere."""
    packed = io.BytesIO()
    harm = random.choice(("bomb", "lie", "escape"))
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (METADATA, *FILES):
            content = (preset / name).read_bytes()
            if harm != "escape" and name == WEIGHTS:
                content = bytes(2**27)
            archive.writestr(name, content)
        if harm == "escape":
            archive.writestr(f"{'../' * random.randint(1, 5)}evil.py", "x")
    content = bytearray(packed.getvalue())
    if harm == "lie":
        place = content.rindex(WEIGHTS.encode()) - 46 + 24
        content[place : place + 4] = random.randrange(2**20).to_bytes(4, "little")
    reader = sources.archive_reader(io.BytesIO(content), "archive")
    preset_files.read_files("archive", reader)


class Server(http.server.BaseHTTPRequestHandler):
    """Sends too much, without an end, too slowly, half, elsewhere, or nothing."""

    def do_GET(self):
        harm = self.path.split("/")[1]
        try:
            if harm == "headers":
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            if harm == "nothing":
                time.sleep(3)
                return
            self.send_response(302 if harm == "loop" else 200)
            if harm == "loop":
                self.send_header("Location", self.path)
            if harm in ("long", "half"):
                length = 4 * 10**8 if harm == "long" else 1000
                self.send_header("Content-Length", str(length))
            self.end_headers()
            sent = 0
            while harm in ("long", "endless", "slow") and sent < 4 * 10**8:
                sent += self.wfile.write(b"{" * (1 if harm == "slow" else 2**16))
                time.sleep(0.05 * (harm == "slow"))
        except OSError:
            pass  # the client goes away, as it should

    def log_message(self, *_):
        pass


@functools.cache
def address():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def load_from_server(preset):
    harms = ("headers", "nothing", "loop", "long", "half", "endless", "slow")
    url = f"{address()}/{random.choice(harms)}/x"
    preset_files.read_files(url, sources.url_reader(url))


def load_redirected(preset):
    """As urllib asks, with addresses that leave https://."""
    scheme = random.choice(("http", "ftp", "file", "HTTP", "data", ""))
    request = sources.urllib.request.Request("https://a.b/c")
    sources._SecureRedirects().redirect_request(
        request, None, random.choice((301, 302, 307)), "", {}, f"{scheme}://d/e"
    )


CHANGES = {"flips": flip, "cuts": truncate, "weights": weights, "config": configuration}
LOADS = {
    "archives": load_archive,
    "servers": load_from_server,
    "redirects": load_redirected,
}


def memory():
    """The most that this process has used, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    """Attack by each kind, and count."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    sources._TIMEOUT, sources._PATIENCE = 1, 1  # seconds; 30 and 60 for users
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Dense(16)(keras.layers.Flatten()(inputs))
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        good = kc.save_to_preset(keras.Model(inputs, features), folder / "good")
        kc.from_preset(good)
        for kind in (*CHANGES, *LOADS):
            tries = min(count, 20) if kind == "servers" else count
            refused, longest, bad, before = 0, 0.0, [], memory()
            for i in range(tries):
                random.seed(f"{kind} {i}")
                preset = shutil.copytree(good, folder / "preset")
                CHANGES.get(kind, lambda _: None)(preset)
                start = time.monotonic()
                try:
                    LOADS.get(kind, kc.from_preset)(preset)
                    bad.append(f"{i} is accepted")
                except (ValueError, OSError) as error:
                    refused += 1
                    if str(error) != preset_files.printable(error):
                        bad.append(f"{i} says {str(error)[:200]!r}")
                except BaseException as error:
                    bad.append(f"{i}: {type(error).__name__}: {str(error)[:200]}")
                longest = max(longest, time.monotonic() - start)
                shutil.rmtree(preset)
            print(
                f"{kind:10}{refused} of {tries} refused, {longest:.2f} s at most, "
                f"memory + {memory() - before:.0f} MB",
                *bad[:5],
                sep="\n  ",
                flush=True,
            )


if __name__ == "__main__":
    main()
