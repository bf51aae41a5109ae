import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest
import serving_server
import tensorflow as tf

serving_apis = pytest.importorskip(
    "tensorflow_serving.apis", reason="needs tensorflow-serving-api"
)

FOLDER = pathlib.Path(__file__).parents[2] / "export" / "serving"


@pytest.fixture(scope="module")
def signatures(exported):
    return tf.saved_model.load(str(exported)).signatures


@pytest.fixture(scope="module")
def gallery(images, tmp_path_factory):
    """20 PNG files; the query is the JPEG of one of them."""
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "sub").mkdir()
    for index, image in enumerate(images[:20]):
        name = f"sub/{index}.png" if index % 2 else f"{index}.png"
        (folder / name).write_bytes(tf.io.encode_png(image).numpy())
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


def test_grpc_client(client, signatures, encoder, gallery, query):
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    module, nearest = client("client_grpc"), client("nearest")
    files = [x.read_bytes() for x in sorted(gallery.rglob("*.png"))[:3]]
    with serving_server.grpc_server(signatures, "encoder") as address:
        with grpc.insecure_channel(address) as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            features = module.features(files, stub, "encoder")
            np.testing.assert_allclose(
                features, expected_features(encoder, files), rtol=1e-4, atol=1e-5
            )
            found = nearest.nearest_images(
                query, gallery, lambda x: module.features(x, stub, "encoder"), 3
            )
            assert found[0][0].name == "7.png" and len(found) == 3
            assert found[0][1] > found[1][1] >= found[2][1]
            with pytest.raises(SystemExit, match="(?s)INVALID_ARGUMENT.*JPEG or PNG"):
                module.features([b"no image"], stub, "encoder")
            with pytest.raises(SystemExit, match="NOT_FOUND"):
                module.features(files, stub, "other")


def test_rest_client(client, signatures, encoder, gallery, query):
    module, nearest = client("client_rest"), client("nearest")
    files = [x.read_bytes() for x in sorted(gallery.rglob("*.png"))[:3]]
    with serving_server.rest_server(signatures, "encoder") as url:
        features = module.features(files, url, "encoder")
        np.testing.assert_allclose(
            features, expected_features(encoder, files), rtol=1e-4, atol=1e-5
        )
        found = nearest.nearest_images(
            query, gallery, lambda x: module.features(x, url, "encoder")
        )
        assert found[0][0].name == "7.png" and len(found) == 5
        with pytest.raises(SystemExit, match="(?s)The server refused.*JPEG or PNG"):
            module.features([b"no image"], url, "encoder")
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
    with pytest.raises(SystemExit, match="No server at"):
        module.features(files, url, "encoder")


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
    ports = {x.split(":")[0] for x in service["ports"]}
    assert ports == {options["port"], options["rest_api_port"]}
