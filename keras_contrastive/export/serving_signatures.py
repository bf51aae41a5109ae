"""The functions of a SavedModel: what TensorFlow Serving answers."""

import tensorflow as tf

from keras_contrastive.export.output import class_names, output_name
from keras_contrastive.image_io import decode_image, resize_and_center_crop
from keras_contrastive.unit_vectors import l2_normalize


def write_saved_model(encoder, folder, size) -> list[str]:
    """Write a SavedModel with an encoder's signatures; nothing of Keras is in it.

    Every signature has the output `features`, float32 `(batch, dim)`; that of a
    classifier is named `logits` or `probabilities`, and if it knows the names of its
    classes, `class_names`, strings `(batch,)`, are those of the most probable ones.

    - `serving_default`: `images`, float32 in [0, 255].
    - `uint8`: `images`, uint8.
    - `normalized`: `images`, float32; features of length 1, for cosine similarity.
      Classifiers go without.
    - `serve_bytes`: `image_bytes`, the bytes of JPEG or PNG files of any size. TF
      Serving takes a key that ends in `_bytes` as base64 in its REST API. Encoders
      with other than 1 or 3 channels go without.

    Args:
        encoder: A float32 encoder outside any strategy.
        folder: Where the SavedModel is written.
        size: `(height, width)` to which `serve_bytes` brings its images.

    Returns:
        The names of the signatures.
    """
    _, height, width, channels = encoder.inputs[0].shape
    dtype = encoder.inputs[0].dtype
    output, names = output_name(encoder), class_names(encoder)

    def takes(dtype):
        images = tf.TensorSpec((None, height, width, channels), dtype, "images")
        return tf.function(input_signature=[images], autograph=False)

    @takes(tf.float32)
    def serving_default(images):
        answer = {output: encoder(tf.cast(images, dtype), training=False)}
        if names is not None:
            answer["class_names"] = tf.gather(names, tf.argmax(answer[output], axis=1))
        return answer

    @takes(tf.uint8)
    def uint8(images):
        return serving_default(tf.cast(images, tf.float32))

    @takes(tf.float32)
    def normalized(images):
        return {"features": l2_normalize(serving_default(images)["features"])}

    def prepare(data):
        return resize_and_center_crop(decode_image(data, channels), size)

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "image_bytes")])
    def serve_bytes(image_bytes):
        images = tf.map_fn(
            prepare,
            image_bytes,
            fn_output_signature=tf.TensorSpec((*size, channels), tf.uint8),
            # One 25-megapixel image takes up to 0.5 GB while it is decoded.
            parallel_iterations=1,
        )
        return uint8(images)

    signatures = {"serving_default": serving_default, "uint8": uint8}
    if output == "features":
        signatures["normalized"] = normalized
    if channels in (1, 3):
        signatures["serve_bytes"] = serve_bytes
    # Not `keras.export.ExportArchive`: it stores every weight twice (Keras 3.15).
    module = tf.Module()
    module.weights = [variable.value for variable in encoder.variables]
    for name, function in signatures.items():
        setattr(module, name, function)
    tf.saved_model.save(module, str(folder), signatures)
    return list(signatures)
