"""A published preset is the same preset, and the hub understands its card."""

import base64
import http.server
import importlib.util
import json
import os
import subprocess
import sys
import threading
import types

import numpy as np
import pytest

import keras_contrastive as kc

NAMES = {
    "metadata.json",
    "config.json",
    "model.weights.h5",
    "metrics.json",
    "README.md",
}


def front_matter(card):
    """The YAML of a card, each line of which is a key and JSON."""
    _, text, _ = card.split("---\n", 2)
    pairs = [line.partition(": ") for line in text.splitlines()]
    return {key: json.loads(value) for key, _, value in pairs}


@pytest.mark.parametrize("name", ["birds", "birds.zip"])
def test_round_trip_of_a_folder_and_an_archive(name, saved, images, tmp_path):
    target = tmp_path / "to" / name
    would = kc.zoo.publish(saved, target, dry_run=True)
    assert not target.parent.exists() and would["files"].keys() == NAMES
    done = kc.zoo.publish(saved, target)
    assert done == would
    if name.endswith(".zip"):
        import zipfile

        with zipfile.ZipFile(target) as archive:
            archive.extractall(tmp_path / "unpacked")
        target = tmp_path / "unpacked"
    loaded = kc.from_preset(target, sha256=done["sha256"])
    np.testing.assert_array_equal(loaded(images), kc.from_preset(saved)(images))
    before, after = kc.zoo.describe(saved), kc.zoo.describe(target)
    for key in before.keys() - {"files", "checksum", "folder", "sha256"}:
        assert before[key] == after[key]
    # Published again, it is the same to the last byte.
    assert (
        kc.zoo.publish(target, tmp_path / "again", dry_run=True)["files"]
        == (done["files"])
    )


def test_the_card_is_of_the_hubs_format(saved, tmp_path):
    text = kc.zoo.publish(saved, tmp_path / "a", dry_run=True)["card"]
    content = front_matter(text)
    assert content["license"] == "mit" and content["library_name"] == "keras"
    assert content["pipeline_tag"] == "image-feature-extraction"
    [model] = content["model-index"]
    rows = {
        (x["dataset"]["name"], x["metrics"][0]["name"]): x for x in model["results"]
    }
    linear = rows["fashion_mnist", "linear"]["metrics"][0]
    assert linear == {"type": "accuracy", "name": "linear", "value": 90.0}
    assert "\n# simclr_tiny\n" in text
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    assert yaml.safe_load(text.split("---\n")[1]) == content


def test_licences_that_the_hub_does_not_know(encoder, tmp_path):
    for licence, expected in (
        ("CC-BY-NC 4.0: no commercial use", {"license": "cc-by-nc-4.0"}),
        ("ask us", {"license": "other", "license_name": "ask us"}),
        (None, {"license": "other", "license_name": "not stated"}),
    ):
        path = tmp_path / str(licence)[:3]
        kc.save_to_preset(encoder, path, {"licence": licence})
        card = kc.zoo.publish(path, tmp_path / "a", dry_run=True)["card"]
        assert expected.items() <= front_matter(card).items()


def test_destinations_that_are_none(saved, tmp_path):
    with pytest.raises(FileExistsError, match="which exists. Move it away"):
        kc.zoo.publish(saved, tmp_path)
    for place in ("https://example.com/x", "hf://name", "hf://a/../b"):
        with pytest.raises(ValueError, match="must be hf://owner/name"):
            kc.zoo.publish(saved, place)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError):
        kc.zoo.publish(tmp_path / "empty", tmp_path / "a")


def test_one_commit_to_hugging_face(saved, monkeypatch):
    calls = []
    api = types.SimpleNamespace(
        create_repo=lambda *a, **k: calls.append(("repo", a, k)),
        create_commit=lambda *a, **k: calls.append(("commit", a, k)),
    )
    client = types.SimpleNamespace(
        HfApi=lambda: api, CommitOperationAdd=lambda path, content: (path, content)
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    kc.zoo.publish(saved, "hf://a/b", dry_run=True)
    assert calls == []
    kc.zoo.publish(saved, "hf://a/b@v1/sub", private=True)
    (_, repo, options), (_, commit, more) = calls
    assert repo == ("a/b",) and options == {"private": True, "exist_ok": True}
    assert {path for path, _ in commit[1]} == {f"sub/{name}" for name in NAMES}
    assert more["revision"] == "v1"

    def refuse(*_, **__):
        raise RuntimeError("401 Unauthorized")

    api.create_commit = refuse
    with pytest.raises(OSError, match="hf://a/b could not be written: 401 .*token"):
        kc.zoo.publish(saved, "hf://a/b")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r"keras-contrastive\[huggingface\]"):
        kc.zoo.publish(saved, "hf://a/b")


class Hub(http.server.BaseHTTPRequestHandler):
    """What of the hub's HTTP API a commit and a download need, in memory."""

    files: dict[str, bytes] = {}
    sha = "0123456789abcdef0123456789abcdef01234567"

    def log_message(self, *_):
        pass

    def answer(self, content, **headers):
        content = (
            content if isinstance(content, bytes) else json.dumps(content).encode()
        )
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def do_POST(self):
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if self.path == "/api/repos/create":
            self.answer({"url": f"http://{self.headers['Host']}/a/b"})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            same = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": x["path"], **same} for x in asked]})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                about = json.loads(line)
                if about["key"] == "file":
                    content = base64.b64decode(about["value"]["content"])
                    self.files[about["value"]["path"]] = content
            url = f"http://{self.headers['Host']}/a/b/commit/{self.sha}"
            self.answer({"commitUrl": url, "commitOid": self.sha})
        else:  # /api/validate-yaml
            self.answer({"errors": [], "warnings": []})

    def do_GET(self):
        path = self.path.partition("?")[0]
        if "/tree/" in path:
            listed = [
                {"type": "file", "path": name, "size": len(content), "oid": name}
                for name, content in self.files.items()
            ]
            self.answer(listed)
        elif path.startswith("/api/models/"):
            siblings = [
                {"rfilename": name, "size": len(content)}
                for name, content in self.files.items()
            ]
            self.answer({"id": "a/b", "sha": self.sha, "siblings": siblings})
        else:
            name = path.rpartition("/")[2]
            self.answer(self.files[name], ETag=f'"{name}"', X_Repo_Commit=self.sha)

    do_HEAD = do_GET


@pytest.mark.skipif(
    not importlib.util.find_spec("huggingface_hub"), reason="needs huggingface_hub"
)
def test_round_trip_through_the_hubs_api(saved, images, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    np.save(tmp_path / "images.npy", images)
    program = (
        "import sys, numpy as np, keras_contrastive as kc\n"
        "done = kc.zoo.publish(sys.argv[1], 'hf://a/b')\n"
        "encoder = kc.from_preset('hf://a/b', 'cache', sha256=done['sha256'])\n"
        "np.save('features.npy', encoder(np.load('images.npy')))\n"
    )
    environment = {
        **os.environ,
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
        "HF_TOKEN": "hf_token",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-c", program, str(saved)]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    server.shutdown()
    assert Hub.files.keys() == NAMES
    expected = kc.from_preset(saved)(images)
    np.testing.assert_array_equal(np.load(tmp_path / "features.npy"), expected)
