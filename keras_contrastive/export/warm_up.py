"""Warm-up requests, so that TF Serving's first answer is as fast as the others."""

import functools

import numpy as np
import tensorflow as tf


def write_warm_up(folder, name: str, signatures, images, encoded) -> bool:
    """Write `assets.extra/tf_serving_warmup_requests`, one request a signature.

    Args:
        folder: The version folder.
        name: Name of the model in the requests.
        signatures: Names of the signatures.
        images: One image, `(1, height, width, channels)`.
        encoded: List with one encoded image, or empty without `serve_bytes`.

    Returns:
        Whether the file was written: it needs `tensorflow-serving-api`. Without it
        that is printed, once a process.
    """
    try:
        from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
    except ImportError:
        _say_what_is_missing()
        return False

    inputs = {
        "serving_default": ("images", np.asarray(images, "float32")),
        "uint8": ("images", np.asarray(images, "uint8")),
        "normalized": ("images", np.asarray(images, "float32")),
        "serve_bytes": ("image_bytes", np.array(encoded, object)),
    }
    target = folder / "assets.extra" / "tf_serving_warmup_requests"
    target.parent.mkdir()
    with tf.io.TFRecordWriter(str(target)) as writer:
        for signature in signatures:
            key, array = inputs[signature]
            request = predict_pb2.PredictRequest()
            request.model_spec.name = name
            request.model_spec.signature_name = signature
            request.inputs[key].CopyFrom(tf.make_tensor_proto(array))
            log = prediction_log_pb2.PredictLog(request=request)
            record = prediction_log_pb2.PredictionLog(predict_log=log)
            writer.write(record.SerializeToString())
    return True


@functools.cache
def _say_what_is_missing():
    print(
        "export: no warm-up requests, since tensorflow-serving-api is missing: "
        'pip install "keras-contrastive[serving]"'
    )
