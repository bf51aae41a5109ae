"""Send a JPEG to TensorFlow Serving over REST and print the nearest images.

    python export/serving/client_rest.py --image query.jpg --gallery photos/

Needs numpy and absl, and nothing of TensorFlow or keras_contrastive.
"""

import base64
import json
import urllib.error
import urllib.request

import nearest
import numpy as np
from absl import app, flags

FLAGS = flags.FLAGS


def features(files, url, model):
    """Ask `serve_bytes` for the features of encoded images.

    Args:
        files: List of bytes, JPEG or PNG.
        url: `http://host:port`.
        model: Name of the model on the server.

    Returns:
        float32 array `(n, dim)`.
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
        with urllib.request.urlopen(request) as response:
            outputs = json.load(response)["outputs"]
    except urllib.error.HTTPError as error:
        raise SystemExit(f"The server refused: {error.read().decode()}") from None
    except urllib.error.URLError as error:
        raise SystemExit(f"No server at {url}: {error.reason}") from None
    return np.asarray(outputs, "float32")


def main(argv):
    """Print one line for each of the nearest images."""
    del argv
    found = nearest.nearest_images(
        FLAGS.image, FLAGS.gallery, lambda x: features(x, FLAGS.url, FLAGS.model)
    )
    for path, similarity in found:
        print(f"{similarity:.3f}  {path}")


def define_flags():
    """Define the flags of this client."""
    flags.DEFINE_string("image", None, "The query, a JPEG or PNG file.", required=True)
    flags.DEFINE_string("gallery", None, "Folder to search.", required=True)
    flags.DEFINE_string("url", "http://localhost:8501", "Where the server is.")
    flags.DEFINE_string("model", "encoder", "The model's name on the server.")


if __name__ == "__main__":
    define_flags()
    app.run(main)
