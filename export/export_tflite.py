"""Write an encoder as TF-Lite files in all variants, and print their parity tables.

    python export/export_tflite.py --encoder runs/quickstart --output_folder models/lite

About a minute on 2 CPU cores; exit status 1 if a gate fails. The int8 variant is
calibrated on training images (the bundled sample, or `--representative`).
"""

import common
import numpy as np
from absl import app, flags

from keras_contrastive import export

FLAGS = flags.FLAGS
flags.DEFINE_string("output_folder", None, "Folder for the .tflite files.")
flags.DEFINE_list("variants", ["float32", "float16", "dynamic", "int8"], "Which ones.")
flags.DEFINE_string("representative", None, "An .npz file with `images` for int8.")
flags.DEFINE_integer("batch_size", None, "Fixed batch size; by default it is dynamic.")
flags.mark_flag_as_required("output_folder")


def main(argv):
    """Export each variant, then verify it on real images."""
    del argv
    encoder = common.load_encoder(FLAGS.encoder)
    images, labels = common.load_images(encoder)
    if FLAGS.representative:
        with np.load(FLAGS.representative) as file:
            representative = file["images"]
    else:
        representative, _ = common.load_images(encoder, "train")
    reports = []
    for variant in FLAGS.variants:
        path = export.to_tflite(
            encoder,
            FLAGS.output_folder,
            variant=variant,
            representative_images=representative[:300] if variant == "int8" else None,
            batch_size=FLAGS.batch_size,
        )
        reports.append(export.verify(path, encoder, images, labels))
        print(reports[-1], end="\n\n")
    largest = max(report.size_bytes for report in reports)
    for report in reports:
        print(f"{report.kind:10}{report.size_bytes / largest:6.2f}x of the largest")
    return 0 if all(report.passed for report in reports) else 1


if __name__ == "__main__":
    app.run(main)
