"""A stand-in for TensorFlow Serving: the same protos, answered from a SavedModel.

gRPC `Predict` and REST `:predict` in its column format, on ports of their own. Only
what the clients need; the real server is not in any package index.
"""

import base64
import contextlib
import http.server
import json
import threading
from concurrent import futures

import numpy as np
import tensorflow as tf

MAX_BATCH_SIZE = 32  # of batching.config; the real server refuses larger requests, too


def answer(signatures, name, inputs):
    """Run a signature on a dict of arrays."""
    if len(next(iter(inputs.values()))) > MAX_BATCH_SIZE:
        raise tf.errors.InvalidArgumentError(None, None, "Task size is larger")
    spec = signatures[name].structured_input_signature[1]
    tensors = {k: tf.cast(v, spec[k].dtype) for k, v in inputs.items()}
    return {k: v.numpy() for k, v in signatures[name](**tensors).items()}


@contextlib.contextmanager
def grpc_server(signatures, model):
    """Yield `host:port` of a gRPC server."""
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802
            if request.model_spec.name != model:
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found")
            inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
            try:
                outputs = answer(signatures, request.model_spec.signature_name, inputs)
            except tf.errors.InvalidArgumentError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            response = predict_pb2.PredictResponse()
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(tf.make_tensor_proto(value))
            return response

    server = grpc.server(futures.ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        Service(), server
    )
    port = server.add_insecure_port("localhost:0")
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(None).wait()


@contextlib.contextmanager
def rest_server(signatures, model):
    """Yield the URL of a REST server."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):  # noqa: N802
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, content = 200, {}
            if self.path != f"/v1/models/{model}:predict":
                status, content = 404, {"error": "Servable not found"}
            else:
                inputs = {k: decoded(k, v) for k, v in body["inputs"].items()}
                try:
                    outputs = answer(signatures, body["signature_name"], inputs)
                    content = {k: v.tolist() for k, v in outputs.items()}
                    if len(content) == 1:  # one output comes without its name
                        (content,) = content.values()
                    content = {"outputs": content}
                except tf.errors.InvalidArgumentError as error:
                    status, content = 400, {"error": str(error)}
            data = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    def decoded(key, value):
        # As in TensorFlow Serving: {"b64": ...} is decoded for keys in _bytes alone.
        if not key.endswith("_bytes"):
            return np.asarray(value)
        return np.array([base64.b64decode(x["b64"]) for x in value], object)

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
