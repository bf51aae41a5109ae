import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

SOURCE = pathlib.Path(__file__).parent / "c_api.c"


@pytest.mark.slow
def test_a_c_program_gives_the_same_features(exported, encoder, images, tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        pytest.skip("needs a C compiler")
    wheel = pathlib.Path(tf.__file__).parent
    libraries = sorted(wheel.glob("libtensorflow*.so*"))
    if not libraries or not (wheel / "include" / "tensorflow" / "c").is_dir():
        pytest.skip("needs TensorFlow's C headers and library, which this wheel lacks")
    program = tmp_path / "c_api"
    subprocess.run(
        [
            compiler,
            str(SOURCE),
            f"-I{wheel / 'include'}",
            *map(str, libraries),
            f"-Wl,-rpath,{wheel}",
            "-o",
            str(program),
        ],
        check=True,
    )
    saved = saved_model_pb2.SavedModel.FromString(
        (exported / "saved_model.pb").read_bytes()
    )
    signature = saved.meta_graphs[0].signature_def["serving_default"]
    names = [
        *signature.inputs["images"].name.split(":"),
        *signature.outputs["features"].name.split(":"),
    ]
    few = images[:5].astype("float32")
    few.tofile(tmp_path / "in")
    subprocess.run(
        [program, exported, *names, *map(str, few.shape), "in", "out"],
        check=True,
        cwd=tmp_path,
    )
    features = np.fromfile(tmp_path / "out", "float32").reshape(5, 64)
    expected = np.asarray(encoder(few, training=False))
    assert np.abs(features - expected).max() <= 1e-5 * np.abs(expected).max()
