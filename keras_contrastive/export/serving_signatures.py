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
    - `serve_bytes`: `image_bytes`, the bytes of image files of any size, all that
      `decode_image` reads. One more output, `ok`, bool `(batch,)`, is False where a
      file cannot be read or is refused; the other outputs are zero (`""`) there. So no
      file fails another, which may be another user's: TF Serving makes one batch of
      several requests. It takes a key that ends in `_bytes` as base64 in its REST API.
      TIFF is not read, and a PNG of 16 bits as the upper 8 of them, which is less than
      1 of 255 from what loaders give; of a `value_range` it knows nothing. Decode such
      images yourself, and send `kc.data.to_255` of them. Encoders with other than 1 or
      3 channels go without.

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

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, "image_bytes")])
    def serve_bytes(image_bytes):
        images, ok = _decode_all(image_bytes, (*size, channels))
        answer = uint8(images)
        for name, value in answer.items():
            is_row = tf.reshape(ok, (-1, *[1] * (len(value.shape) - 1)))
            answer[name] = tf.where(is_row, value, tf.zeros_like(value))
        return {**answer, "ok": ok}

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


def _decode_all(files, shape):
    """Decode files one after the other: uint8 `(n, *shape)`, and which succeeded.

    An operation that fails ends its whole graph, but for one in a dataset that ignores
    errors.
    """

    @tf.autograph.experimental.do_not_convert
    def load(row, data):
        image = decode_image(data, shape[-1])
        return row, resize_and_center_crop(image, shape[:2])

    count = tf.size(files, tf.int64)
    good = tf.data.Dataset.from_tensor_slices(files).enumerate().map(load)
    # There is always something behind them, so that a batch cannot be empty.
    last = tf.data.Dataset.from_tensors((count, tf.zeros(shape, tf.uint8)))
    dataset = good.ignore_errors().concatenate(last).batch(count + 1)
    rows, images = dataset.get_single_element()
    rows = rows[:, None]
    images = tf.scatter_nd(rows, images, tf.stack([count + 1, *shape]))
    ok = tf.scatter_nd(rows, tf.ones_like(rows[:, 0]), [count + 1]) > 0
    return tf.ensure_shape(images[:-1], (None, *shape)), ok[:-1]
