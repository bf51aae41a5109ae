"""Send an image to TensorFlow Serving over gRPC and print the nearest images.

    pip install "keras-contrastive[serving]"
    python export/serving/client_grpc.py --image query.jpg --gallery photos/

Needs tensorflow-serving-api (with TensorFlow, for its protos), not keras_contrastive.
"""

import grpc
import nearest
import numpy as np
import tensorflow as tf
from absl import app, flags
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

FLAGS = flags.FLAGS


def features(files, stub, model, timeout=60):
    """Ask `serve_bytes` for the features of encoded images.

    Args:
        files: List of bytes, image files; not more than the server's `max_batch_size`.
        stub: A `PredictionServiceStub`.
        model: Name of the model on the server.
        timeout: Seconds.

    Returns:
        features, float32 array `(n, dim)`, and ok, bool array `(n,)`: False where a
        file cannot be read.
    """
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "serve_bytes"
    array = np.array(files, object)
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(array))
    try:
        response = stub.Predict(request, timeout)
    except grpc.RpcError as error:
        raise SystemExit(f"{error.code().name}: {error.details()}") from None
    outputs = {key: tf.make_ndarray(x) for key, x in response.outputs.items()}
    return nearest.features_and_ok(outputs)


def main(argv):
    """Print one line for each of the nearest images."""
    del argv
    # A batch of photographs is more than gRPC's 4 MiB.
    options = [("grpc.max_send_message_length", -1)]
    with grpc.insecure_channel(FLAGS.server, options) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        found = nearest.nearest_images(
            FLAGS.image,
            FLAGS.gallery,
            lambda x: features(x, stub, FLAGS.model, FLAGS.timeout),
        )
    for path, similarity in found:
        print(f"{similarity:.3f}  {path}")


def define_flags():
    """Define the flags of this client."""
    flags.DEFINE_string("image", None, "The query, an image file.", required=True)
    flags.DEFINE_string("gallery", None, "Folder to search.", required=True)
    flags.DEFINE_string("server", "localhost:8500", "host:port of the server.")
    flags.DEFINE_string("model", "encoder", "The model's name on the server.")
    flags.DEFINE_float("timeout", 60, "Seconds to wait for an answer.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
