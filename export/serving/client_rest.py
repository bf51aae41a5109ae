"""Send an image to TensorFlow Serving over REST and print the nearest images.

    python export/serving/client_rest.py --image query.jpg --gallery photos/

Needs numpy and absl, and nothing of TensorFlow or keras_contrastive.
"""

import base64
import http.client
import json
import urllib.error
import urllib.request

import nearest
from absl import app, flags

FLAGS = flags.FLAGS


def features(files, url, model, timeout=60):
    """Ask `serve_bytes` for the features of encoded images.

    Args:
        files: List of bytes, image files; not more than the server's `max_batch_size`.
        url: `http://host:port`.
        model: Name of the model on the server.
        timeout: Seconds without a byte from the server after which to give up.

    Returns:
        features, float32 array `(n, dim)`, and ok, bool array `(n,)`: False where a
        file cannot be read.
    """
    # The key image_bytes ends in _bytes: its values may come as {"b64": ...}.
    encoded = [{"b64": base64.b64encode(data).decode()} for data in files]
    body = {"signature_name": "serve_bytes", "inputs": {"image_bytes": encoded}}
    request = urllib.request.Request(
        f"{url}/v1/models/{model}:predict",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            outputs = json.load(response)["outputs"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"The server refused: {error.read().decode()}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise SystemExit(f"No answer from {url}: {reason}") from None
    return nearest.features_and_ok(outputs)


def main(argv):
    """Print one line for each of the nearest images."""
    del argv
    found = nearest.nearest_images(
        FLAGS.image,
        FLAGS.gallery,
        lambda x: features(x, FLAGS.url, FLAGS.model, FLAGS.timeout),
    )
    for path, similarity in found:
        print(f"{similarity:.3f}  {path}")


def define_flags():
    """Define the flags of this client."""
    flags.DEFINE_string("image", None, "The query, an image file.", required=True)
    flags.DEFINE_string("gallery", None, "Folder to search.", required=True)
    flags.DEFINE_string("url", "http://localhost:8501", "Where the server is.")
    flags.DEFINE_string("model", "encoder", "The model's name on the server.")
    flags.DEFINE_float("timeout", 60, "Seconds to wait for an answer.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
