"""Check artefacts that exist against the encoder they were made of.

    python export/check_export.py --encoder runs/quickstart models/fashion a.tflite

Prints one parity table for each, with the change of kNN accuracy; `--json_file` keeps
them. Exit status 1 if a gate fails. About 15 seconds a SavedModel, 5 a file.
"""

import json

import common
from absl import app, flags

from keras_contrastive import export
from keras_contrastive.files import write_json

FLAGS = flags.FLAGS
flags.DEFINE_string("json_file", None, "Write the reports to it, as a JSON list.")
flags.DEFINE_integer("repeats", 50, "Calls per latency measurement; 0: none.")


def main(argv):
    """Verify every path on the command line."""
    if not argv[1:]:
        raise app.UsageError("Give the paths of the artefacts to check.")
    encoder = common.load_encoder(FLAGS.encoder)
    images, labels = common.load_images(encoder)
    reports = []
    for path in argv[1:]:
        reports.append(
            export.verify(path, encoder, images, labels, repeats=FLAGS.repeats)
        )
        print(reports[-1], end="\n\n")
    if FLAGS.json_file:
        content = [json.loads(report.to_json()) for report in reports]
        write_json(FLAGS.json_file, content)
    return 0 if all(report.passed for report in reports) else 1


if __name__ == "__main__":
    app.run(main)
