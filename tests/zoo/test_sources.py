import contextlib
import functools
import http.server
import inspect
import io
import pathlib
import shutil
import socket
import sys
import threading
import time
import tracemalloc
import types
import urllib.request
import zipfile

import pytest
from damage import rewrite

import keras_contrastive as kc
from keras_contrastive.zoo import preset_files, sources
from keras_contrastive.zoo.preset_files import FILES, METADATA, fingerprint


def test_an_unknown_name_names_near_ones(shipped):
    assert kc.list_presets() == ["simclr_tiny"]
    for name in ("simclr_tini", "simclr"):
        with pytest.raises(ValueError, match=r"Did you mean 'simclr_tiny'\?"):
            kc.from_preset(name)
    with pytest.raises(ValueError, match=r"Received: 'x/y', which is no .*folder\.$"):
        kc.from_preset("x/y")


def test_a_shipped_preset_must_match_the_registry(shipped, encoder):
    assert kc.from_preset("simclr_tiny").count_params() == encoder.count_params()
    recorded = sources.registered()["simclr_tiny"]
    assert recorded == kc.zoo.describe(shipped)["sha256"]
    # Its own hashes are right, so that only the registry can tell.
    rewrite(shipped, "metrics.json", lambda x: x.clear())
    kc.from_preset(shipped)
    with pytest.raises(ValueError, match=recorded):
        kc.from_preset("simclr_tiny")


def test_a_path_is_a_folder_and_a_name_is_shipped(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="no folder. Did you mean 'simclr_tiny'"):
        kc.from_preset(pathlib.Path("simclr_tiny"))
    mine = kc.encoders.resnet(10, 5, input_shape=(28, 28, 1))
    kc.save_to_preset(mine, "simclr_tiny")
    for path in (pathlib.Path("simclr_tiny"), "./simclr_tiny"):
        assert kc.from_preset(path).count_params() == mine.count_params()
    with pytest.warns(UserWarning, match="for the folder write './simclr_tiny'"):
        loaded = kc.from_preset("simclr_tiny")
    assert loaded.count_params() == kc.from_preset(shipped).count_params()


def test_register_refuses_what_cannot_ship(shipped):
    before = sources.registered()
    shipped.rename(shipped.with_name("renamed"))
    with pytest.raises(ValueError, match="name='simclr_tiny' in .*renamed"):
        sources.register()
    assert sources.registered() == before


@pytest.mark.parametrize(
    "source", ["http://a.b/c", "file:///etc", "hf://a", "hf://a/b/../../c", "s3://a/b"]
)
def test_other_schemes_are_refused(source, tmp_path):
    with pytest.raises(ValueError, match="downloaded from https://"):
        kc.from_preset(source, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert sources.cache_folder() == tmp_path / "keras_contrastive"
    monkeypatch.setenv("KERAS_CONTRASTIVE_CACHE", str(tmp_path / "mine"))
    assert sources.cache_folder() == tmp_path / "mine"
    assert sources.cache_folder(tmp_path / "this") == tmp_path / "this"
    monkeypatch.delenv("KERAS_HOME")
    monkeypatch.delenv("KERAS_CONTRASTIVE_CACHE")
    assert sources.cache_folder() == pathlib.Path.home() / ".keras/keras_contrastive"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; one file may be sent half, without end or not at all."""

    cut = endless = hangs = None
    says_length, requests, sent = True, 0, 0

    def do_GET(self):
        type(self).requests += 1
        if self.path.endswith(f"/{self.hangs}"):
            time.sleep(0.5)
        if self.path.endswith(f"/{self.endless}"):
            self.send_response(200)
            if self.says_length:
                self.send_header("Content-Length", str(400_000_000))
            self.end_headers()
            with contextlib.suppress(OSError):  # the client goes away
                for _ in range(6_000):
                    self.wfile.write(bytes(2**16))
                    type(self).sent += 2**16
            return
        if self.path.split("?")[0].endswith(f"/{self.cut}"):
            content = pathlib.Path(self.translate_path(self.path)).read_bytes()
            self.send_response(200)
            if self.says_length:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2])
            return
        super().do_GET()

    def log_message(self, *args):
        pass


@pytest.fixture
def served(saved):
    """The address of a server of the preset, and its handler."""
    handler = type("OneTest", (Handler,), {})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=saved.parent)
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/{saved.name}", handler
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def _http_is_https(monkeypatch):
    """Let the servers here do for https://."""
    readers = sources._reader_of

    def reader_of(source):
        if source.startswith("http://127."):
            return functools.partial(sources.url_reader, source)
        return readers(source)

    monkeypatch.setattr(sources, "_reader_of", reader_of)


def download(url, cache, sha256=None):
    """What `from_preset` does with an https address."""
    return sources.cached(url, cache, sha256).folder


def test_a_download_is_kept_and_repaired(served, saved, tmp_path):
    url, handler = served
    folder = download(f"{url}/?token=1", tmp_path)
    assert [x.name for x in tmp_path.iterdir()] == [folder.name]
    assert {x.name for x in folder.iterdir()} == {METADATA, *FILES}
    assert kc.from_preset(folder).name == "resnet10"
    assert handler.requests == 5
    assert download(f"{url}/?token=1", tmp_path) == folder
    assert handler.requests == 5  # from the cache
    with open(folder / "model.weights.h5", "r+b") as file:
        file.truncate(1000)
    assert download(f"{url}/?token=1", tmp_path) == folder
    assert handler.requests == 10
    assert fingerprint((folder / "model.weights.h5").read_bytes()) == fingerprint(
        (saved / "model.weights.h5").read_bytes()
    )


@pytest.mark.parametrize("says_length, error", [(True, OSError), (False, ValueError)])
def test_a_download_that_stops_half_way(served, tmp_path, says_length, error):
    url, handler = served
    handler.cut, handler.says_length = "model.weights.h5", says_length
    messages = {OSError: "model.weights.h5' could not be", ValueError: "SHA-256"}
    with pytest.raises(error, match=messages[error]) as raised:
        download(url, tmp_path / "cache")
    assert f"'{url}/model.weights.h5'" in str(raised.value)
    assert ".keras_contrastive" not in str(raised.value)  # what is gone already
    assert list((tmp_path / "cache").glob("**/*")) == []
    handler.cut = None
    assert download(url, tmp_path / "cache").is_dir()


def test_a_damaged_copy_that_cannot_be_fetched_again(served, tmp_path):
    url, handler = served
    folder = download(url, tmp_path)
    (folder / "config.json").write_text("{}")
    handler.cut = "metadata.json"
    with pytest.raises(OSError, match="(?s)not be downloaded.*in the cache.*config"):
        download(url, tmp_path)


def test_another_process_is_faster(saved, tmp_path, monkeypatch):
    """Both get the preset, and it is in the cache once."""
    found = []

    def reader():
        if not found:
            found.append(None)
            found.append(sources.cached("https://a.b/c", tmp_path))
        return lambda name, limit: (saved / name).read_bytes()

    monkeypatch.setattr(sources, "_reader_of", lambda source: reader)
    found.append(sources.cached("https://a.b/c", tmp_path))
    assert found[1] == found[2]
    assert list(tmp_path.iterdir()) == [found[1].folder]
    assert preset_files.read_preset(found[1].folder) == found[1]


def test_a_cache_that_cannot_be_written(saved):
    with pytest.raises(OSError, match="folder that can be written.*'/proc/cache'"):
        sources.cached("https://a.b/c", "/proc/cache")


def test_an_address_without_a_preset(served, tmp_path):
    with pytest.raises(OSError, match="nowhere/metadata.json' could not .* 404"):
        download(f"{served[0]}/nowhere", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pinned_hash(saved, served, tmp_path):
    pin = kc.zoo.describe(saved)["sha256"]
    folder = download(served[0], tmp_path, pin)
    with pytest.raises(ValueError, match=f"Expected: SHA-256 {'0' * 64}"):
        download(served[0], tmp_path, "0" * 64)
    assert list(tmp_path.iterdir()) == [folder]  # a wrong pin costs nothing
    with pytest.raises(ValueError, match=f"Expected: SHA-256 {'0' * 64}"):
        kc.from_preset(saved, sha256="0" * 64)


def test_https_goes_through_the_cache(saved, tmp_path, monkeypatch):
    def get(url, limit):
        name = url.removeprefix("https://a.b/c/").removesuffix("?token=1")
        assert name == METADATA or limit == (saved / name).stat().st_size
        return (saved / name).read_bytes()

    monkeypatch.setattr(sources, "_download", get)
    address = "https://a.b/c?token=1"
    assert kc.from_preset(address, cache_dir=tmp_path).name == "resnet10"
    monkeypatch.setattr(sources, "_download", None)
    assert kc.zoo.describe(address, cache_dir=tmp_path)["name"] == "simclr_tiny"


def zipped(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_an_archive(saved, served, tmp_path):
    contents = {x.name: x.read_bytes() for x in saved.iterdir()}
    for names in ({}, {"top/": ""}):
        prefix = "".join(names)
        entries = names | {prefix + name: x for name, x in contents.items()}
        archive = zipped(saved.parent / "served.zip", entries)
        folder = download(f"{served[0]}/../served.zip", tmp_path / f"cache{prefix}")
        assert kc.from_preset(folder).name == "resnet10"
        assert not (folder / "preset.zip").exists()
    archive.unlink()


def unpack(archive):
    """The contents of a preset in a `.zip`."""
    return preset_files.read_files("x", sources.archive_reader(archive, "x")).contents


def link(name):
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


@pytest.mark.parametrize(
    "name",
    [
        "../config.json",
        "/config.json",
        "a/../config.json",
        "a/b/config.json",
        "..\\config.json",
        "C:\\config.json",
        "preset/run.py",
        link("config.json"),
    ],
)
def test_an_archive_that_leads_out_of_the_cache(tmp_path, name):
    inside = tmp_path / "a" / "inside"
    inside.mkdir(parents=True)
    archive = zipped(tmp_path / "x.zip", {METADATA: "{}", name: "/etc/passwd"})
    with pytest.raises(ValueError, match="must be a .zip with .* alone. Received"):
        unpack(archive)
    assert list(inside.iterdir()) == [] and list(inside.parent.iterdir()) == [inside]


def test_an_archive_that_is_none_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="one that cannot be unpacked"):
        unpack(io.BytesIO(b"PK but no zip"))
    with zipfile.ZipFile(tmp_path / "y.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(METADATA, "{}" * 1000)
    content = bytearray((tmp_path / "y.zip").read_bytes())
    start = len(METADATA) + 30  # of the compressed data
    for damage in ({start: 0xFF}, {6: 1, content.find(b"PK\1\2") + 8: 1}):
        changed = content.copy()  # the second one says that it is encrypted
        for place, value in damage.items():
            changed[place] = value
        with pytest.raises(ValueError, match="one that cannot be unpacked"):
            unpack(io.BytesIO(changed))


def lying(archive, name, size):
    """Let a .zip say that a file of it has `size` bytes."""
    content = bytearray(archive.read_bytes())
    place = content.rindex(name.encode()) - 46 + 24  # in the central directory
    content[place : place + 4] = size.to_bytes(4, "little")
    archive.write_bytes(content)


@pytest.mark.parametrize("promised", [None, 100])
def test_an_archive_that_unpacks_to_more_than_a_preset(saved, tmp_path, promised):
    contents = {x.name: x.read_bytes() for x in saved.iterdir()}
    contents["model.weights.h5"] = bytes(2**25)
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    if promised:
        lying(tmp_path / "x.zip", "model.weights.h5", promised)
    tracemalloc.start()
    with pytest.raises(ValueError, match="must unpack to|cannot be unpacked"):
        unpack(tmp_path / "x.zip")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23


def test_an_archive_that_shrinks_too_well(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(METADATA, b" " * 2**23)
    assert (tmp_path / "x.zip").stat().st_size < 9000
    with pytest.raises(ValueError, match=r"metadata.json in .* unpack to 1,048,576 by"):
        unpack(tmp_path / "x.zip")


@pytest.mark.parametrize("says_length", [True, False])
def test_a_download_of_more_than_the_preset_lists(
    served, saved, tmp_path, says_length, monkeypatch
):
    url, handler = served
    handler.endless, handler.says_length = "README.md", says_length
    with pytest.raises(ValueError, match="README.md' must have [0-9,]+ bytes at most"):
        download(url, tmp_path)
    assert handler.sent < 2**22  # what the sockets held, of 400 MB
    assert list(tmp_path.iterdir()) == []
    handler.endless = "metadata.json"
    with pytest.raises(ValueError, match="metadata.json' must have 16,777,216 bytes"):
        download(url, tmp_path)


def test_a_download_that_does_not_go_on(served, tmp_path, monkeypatch):
    url, handler = served
    monkeypatch.setattr(sources, "_TIMEOUT", 0.2)
    handler.hangs = "config.json"
    with pytest.raises(OSError, match="config.json' could not be .* timed out"):
        download(url, tmp_path)
    monkeypatch.setattr(sources, "_PATIENCE", -1e9)
    with pytest.raises(OSError, match="metadata.json' .* bytes came, too slowly"):
        download(url, tmp_path)


@pytest.mark.parametrize("to", ["http://a.b/c", "ftp://a.b/c", "file:///etc/passwd"])
def test_a_redirect_that_leaves_https(to):
    handler = sources._SecureRedirects()
    request = urllib.request.Request("https://a.b/c")
    with pytest.raises(OSError, match="which is not https://"):
        handler.redirect_request(request, None, 302, "Found", {}, to)
    followed = handler.redirect_request(
        request, None, 302, "Found", {}, "https://d.e/f"
    )
    assert followed.full_url == "https://d.e/f"


def test_a_server_that_never_ends_its_headers(tmp_path, monkeypatch):
    """A byte now and then, so that no wait for one is too long."""
    monkeypatch.setattr(sources, "_PATIENCE", 0.3)
    server = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()

    def serve():
        connection, _ = server.accept()
        connection.sendall(b"HTTP/1.0 200 OK\r\nX: ")
        while not done.wait(0.05):
            connection.sendall(b"x")
        connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    start = time.monotonic()
    try:
        with pytest.raises(OSError, match="metadata.json' .* 0 bytes came, too slowly"):
            download(f"http://127.0.0.1:{server.getsockname()[1]}/x", tmp_path)
        assert time.monotonic() - start < 5
    finally:
        done.set()
        thread.join()
        server.close()


def test_a_full_disk_is_no_matter_of_the_network(served, tmp_path, room_for):
    with room_for(5000), pytest.raises(OSError, match="needs .*Free space") as error:
        download(served[0], tmp_path)
    assert "network" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_hugging_face(saved, tmp_path, monkeypatch):
    asked = []

    def model_info(repo, revision, files_metadata, timeout):
        if repo == "a/gone":
            raise RuntimeError("404")
        folder = "sub/x/" if repo == "a/b" else ""
        return types.SimpleNamespace(
            sha=f"commit of {revision}",
            siblings=[
                types.SimpleNamespace(
                    rfilename=f"{folder}{x.name}",
                    size=x.stat().st_size + (repo == "a/large"),
                )
                for x in saved.iterdir()
                if not (repo == "a/few" and x.name == "README.md")
            ],
        )

    def snapshot_download(repo, revision, allow_patterns, local_dir):
        (path,) = allow_patterns
        asked.append((repo, path, revision))
        target = pathlib.Path(local_dir) / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(saved / target.name, target)
        return str(local_dir)

    client = types.SimpleNamespace(
        snapshot_download=snapshot_download,
        HfApi=lambda: types.SimpleNamespace(model_info=model_info),
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    kc.from_preset("hf://a/b@v1/sub/x", cache_dir=tmp_path)
    assert asked == [
        ("a/b", f"sub/x/{name}", "commit of v1") for name in (METADATA, *FILES)
    ]
    kc.from_preset("hf://a/c@refs/pr/1", cache_dir=tmp_path)
    assert asked[-1] == ("a/c", "README.md", "commit of refs/pr/1")
    with pytest.raises(OSError, match=r"files of hf://a/gone \(main\) could .* 404"):
        kc.from_preset("hf://a/gone", cache_dir=tmp_path)
    with pytest.raises(OSError, match="config.json of hf://a/large .* may have"):
        kc.from_preset("hf://a/large", cache_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match="'hf://a/few' without README.md, with"):
        kc.from_preset("hf://a/few", cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2

    monkeypatch.setitem(sys.modules, "huggingface_hub", None)  # not installed
    message = r"huggingface_hub, .* pip install \"keras-contrastive\[huggingface\]\""
    with pytest.raises(ImportError, match=message):
        kc.from_preset("hf://a/b/sub", cache_dir=tmp_path)
    kc.from_preset("hf://a/c@refs/pr/1", cache_dir=tmp_path)  # from the cache


def test_the_client_of_hugging_face_takes_these_arguments():
    client = pytest.importorskip("huggingface_hub")
    inspect.signature(client.snapshot_download).bind(
        "a/b", revision="x", allow_patterns=["y"], local_dir="z"
    )
    inspect.signature(client.HfApi.model_info).bind(
        None, "a/b", revision="x", files_metadata=True, timeout=1
    )
