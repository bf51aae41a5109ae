"""Write an encoder as a SavedModel for TensorFlow Serving, and print its parity table.

    python export/export_saved_model.py --encoder runs/quickstart --output models/a

About 30 seconds on 2 CPU cores; exit status 1 if a gate fails. Then: export/serving/.
"""

import json

import common
from absl import app, flags

from keras_contrastive import export

FLAGS = flags.FLAGS
flags.DEFINE_string("output", None, "Base folder; the next free version goes there.")
flags.DEFINE_string("metadata", None, "A JSON file: method, data, metrics, licence.")
flags.mark_flag_as_required("output")


def main(argv):
    """Export, then verify on real images."""
    del argv
    metadata = None
    if FLAGS.metadata:
        with open(FLAGS.metadata) as file:
            metadata = json.load(file)
    encoder = common.load_encoder(FLAGS.encoder)
    images, labels = common.load_images(encoder)
    folder = export.to_saved_model(
        encoder, FLAGS.output, images=images[:256], metadata=metadata
    )
    report = export.verify(folder, encoder, images, labels)
    print(report)
    print(f"\nServe it: export/serving/README.md. Fine-tune it: {folder}/encoder.keras")
    return 0 if report.passed else 1


if __name__ == "__main__":
    app.run(main)
