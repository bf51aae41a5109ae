import pathlib
import re
import socket
import subprocess
import sys

import numpy as np
import pytest
import serving_server
import tensorflow as tf

from keras_contrastive import tiff
from keras_contrastive.data.list_images import EXTENSIONS

serving_apis = pytest.importorskip(
    "tensorflow_serving.apis", reason="needs tensorflow-serving-api"
)

FOLDER = pathlib.Path(__file__).parents[2] / "export" / "serving"


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.fixture(scope="module")
def gallery(images, tmp_path_factory):
    """40 PNG files, more than a server takes at once, and what is no image.

    The query is the JPEG of one of them.
    """
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "sub").mkdir()
    for index, image in enumerate(images[:40]):
        name = f"sub/{index}.png" if index % 2 else f"{index}.png"
        (folder / name).write_bytes(tf.io.encode_png(image).numpy())
    (folder / "a folder.jpg").mkdir()
    (folder / "3a.gif").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def query(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("query") / "query.jpg"
    path.write_bytes(tf.io.encode_jpeg(images[7], quality=100).numpy())
    return path


@pytest.fixture
def client(monkeypatch):
    """A function: name -> the client's module."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def load(name):
        return __import__(name)

    return load


def expected_features(encoder, files):
    images = tf.stack([tf.io.decode_image(x, 1) for x in files])
    return np.asarray(encoder(images, training=False))


def test_grpc_client(client, signatures, encoder, gallery, query, capsys):
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    module, nearest = client("client_grpc"), client("nearest")
    files = [x.read_bytes() for x in sorted(gallery.rglob("*.png"))[:3]]
    with serving_server.grpc_server(signatures, "encoder") as address:
        with grpc.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            features, ok = module.features([*files, b"no image"], stub, "encoder")
            np.testing.assert_array_equal(ok, [True] * 3 + [False])
            np.testing.assert_allclose(
                features[:3], expected_features(encoder, files), rtol=1e-4, atol=1e-5
            )
            found = nearest.nearest_images(
                query, gallery, lambda x: module.features(x, stub, "encoder"), 3
            )
            assert found[0][0].name == "7.png" and len(found) == 3
            assert found[0][1] > found[1][1] >= found[2][1]
            assert capsys.readouterr().err.count("left out") == 1
            with pytest.raises(SystemExit, match="(?s)INVALID_ARGUMENT.*larger"):
                module.features([b"no image"] * 33, stub, "encoder")
            with pytest.raises(SystemExit, match="NOT_FOUND"):
                module.features(files, stub, "other")


def test_rest_client(client, signatures, encoder, gallery, query):
    module, nearest = client("client_rest"), client("nearest")
    files = [x.read_bytes() for x in sorted(gallery.rglob("*.png"))[:3]]
    with serving_server.rest_server(signatures, "encoder") as url:
        features, ok = module.features([*files, b"no image"], url, "encoder")
        np.testing.assert_array_equal(ok, [True] * 3 + [False])
        np.testing.assert_allclose(
            features[:3], expected_features(encoder, files), rtol=1e-4, atol=1e-5
        )
        found = nearest.nearest_images(
            query, gallery, lambda x: module.features(x, url, "encoder")
        )
        assert found[0][0].name == "7.png" and len(found) == 5
        with pytest.raises(SystemExit, match="(?s)The server refused.*larger"):
            module.features([b"no image"] * 33, url, "encoder")
        # As a command: its flags, its printout, and no TensorFlow.
        command = [sys.executable, FOLDER / "client_rest.py", f"--url={url}"]
        result = subprocess.run(
            [*command, f"--image={query}", f"--gallery={gallery}"],
            capture_output=True,
            text=True,
            check=True,
        )
        lines = result.stdout.splitlines()
        assert len(lines) == 5 and re.match(r"0\.\d+|1\.\d+", lines[0])
        assert lines[0].endswith("7.png")
        assert result.stderr.count("left out") == 1 and "3a.gif" in result.stderr
    with pytest.raises(SystemExit, match="No answer from"):
        module.features(files, url, "encoder")


def test_a_server_that_does_not_answer(client):
    rest, rpc = client("client_rest"), client("client_grpc")
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    with socket.create_server(("localhost", 0)) as silent:
        address = f"localhost:{silent.getsockname()[1]}"
        with pytest.raises(SystemExit, match="No answer from .*timed out"):
            rest.features([b""], f"http://{address}", "encoder", timeout=0.1)
        with grpc.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(SystemExit, match="DEADLINE_EXCEEDED|UNAVAILABLE"):
                rpc.features([b""], stub, "encoder", timeout=0.1)


def test_answers_that_are_refused(client, gallery, query):
    nearest = client("nearest")
    with pytest.raises(SystemExit, match="each of 16 images. Received 15"):
        nearest.nearest_images(
            query, gallery, lambda x: (np.ones((min(len(x), 15), 2)), [True] * len(x))
        )
    with pytest.raises(SystemExit, match="query .* is no image"):
        nearest.nearest_images(query, gallery, lambda x: (x, [False] * len(x)))
    with pytest.raises(SystemExit, match="query .* is no image"):
        nearest.nearest_images(gallery / "none.jpg", gallery, None)
    with pytest.raises(SystemExit, match="holds no image"):
        nearest.nearest_images(query, gallery / "a folder.jpg", lambda x: (x, [True]))
    for outputs in ([[1.0]], {"features": [[1.0]]}):
        with pytest.raises(SystemExit, match="Expected the outputs `features` and"):
            nearest.features_and_ok(outputs)


def test_clients_know_the_formats_and_the_batch_size(client):
    nearest = client("nearest")
    # No server reads TIFFs.
    assert set(nearest.EXTENSIONS) == {*EXTENSIONS} - {*tiff.EXTENSIONS}
    config = (FOLDER / "batching.config").read_text()
    (most,) = re.findall(r"max_batch_size { value: (\d+) }", config)
    assert nearest.BATCH_SIZE <= int(most) == serving_server.MAX_BATCH_SIZE


def test_model_config():
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    config = text_format.Parse(
        (FOLDER / "models.config").read_text(),
        model_server_config_pb2.ModelServerConfig(),
    )
    (model,) = config.model_config_list.config
    assert (model.name, model.base_path) == ("encoder", "/models/encoder")
    assert model.model_platform == "tensorflow"


def test_compose_file_names_files_and_ports_that_exist():
    yaml = pytest.importorskip("yaml", reason="needs PyYAML")
    service = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    (service,) = service.values()
    options = dict(x.lstrip("-").split("=") for x in service["entrypoint"][1:])
    for key in (
        "model_config_file",
        "monitoring_config_file",
        "batching_parameters_file",
    ):
        assert (FOLDER / pathlib.Path(options[key]).name).is_file()
    hosts, ports, _ = zip(*(x.split(":") for x in service["ports"]), strict=True)
    assert set(ports) == {options["port"], options["rest_api_port"]}
    # Nobody has to give a password, and a newer server must not come by itself.
    assert set(hosts) == {"127.0.0.1"}
    assert re.fullmatch(r"tensorflow/serving:\d+\.\d+\.\d+", service["image"])
    assert service["mem_limit"] and service["cpus"]
