"""The small network between features and embeddings."""

import keras


@keras.saving.register_keras_serializable(package="keras_contrastive")
class ProjectionHead(keras.layers.Layer):
    """Dense layers from features `(batch, dim)` to embeddings `(batch, units)`.

    Each hidden layer is Dense, batch norm, activation; the output layer is Dense and,
    if wanted, batch norm. The output is not normalised: the losses do that. Batch norm
    has decay 0.9 and epsilon 1e-5 and is synchronised over replicas. What the papers'
    code uses (`dim` is the width of the features):

    | Head                   | units | hidden_units | further arguments           |
    |------------------------|-------|--------------|-----------------------------|
    | SimCLR v1              | 128   | dim          | output_norm, output_scale   |
    | SimCLR v2              | 128   | (dim, dim)   | output_norm, output_scale   |
    | SupCon                 | 128   | dim          | biases, no hidden_norm      |
    | BYOL projector         | 256   | 4096         | hidden_bias                 |
    | BYOL predictor         | 256   | 4096         | hidden_bias                 |
    | SCE, CIFAR             | 128   | 512          | output_bias                 |
    | SCE, ImageNet          | 256   | (2048, 2048) | output_norm                 |
    | SCE ImageNet predictor | 256   | 4096         |                             |
    | SimSiam projector      | 2048  | (2048, 2048) | output_norm                 |
    | SimSiam predictor      | 2048  | 512          | output_bias                 |

    SimCLR's code starts its Dense kernels from N(0, 0.01^2); with a batch norm behind
    each of them the scale has no effect on the output, only on how far a step moves.

    Args:
        units: Size of the embedding, a positive int.
        hidden_units: Width of the hidden layer, or a tuple with the width of each;
            `()` for a linear head.
        hidden_bias: Whether hidden Dense layers have a bias. Not needed before a
            batch norm, whose beta does the same.
        hidden_norm: Whether hidden layers have a batch norm (with gamma and beta).
        output_bias: Whether the output Dense has a bias.
        output_norm: Whether a batch norm follows the output Dense.
        output_scale: Whether that batch norm has a gamma.
        output_center: Whether that batch norm has a beta.
        kernel_initializer: Initializer of all Dense kernels.
        activation: Of the hidden layers, as in `keras.activations`. Defaults to ReLU.
        **kwargs: `name`, `dtype` and so on of `keras.layers.Layer`.

    Call arguments:
        features: Float tensor of shape `(batch, dim)`.
        training: Whether batch norm uses the statistics of the batch.

    Returns:
        Tensor of shape `(batch, units)` in the layer's compute dtype.

    Raises:
        ValueError: Units that are not positive ints; `output_scale` or
            `output_center` without `output_norm`; features that are not
            `(batch, dim)`.

    Example:
    >>> head = keras_contrastive.layers.ProjectionHead(
    ...     128, hidden_units=512, output_norm=True, output_scale=True)
    >>> head(np.zeros((4, 512), "float32")).shape
    TensorShape([4, 128])

    References:
        - [Chen et al., 2020 (SimCLR)](https://arxiv.org/abs/2002.05709)
        - [Khosla et al., 2020 (SupCon)](https://arxiv.org/abs/2004.11362)
        - [Grill et al., 2020 (BYOL)](https://arxiv.org/abs/2006.07733)
        - [Denize et al., 2021 (SCE)](https://arxiv.org/abs/2111.14585)
        - [Chen and He, 2020 (SimSiam)](https://arxiv.org/abs/2011.10566)
    """

    def __init__(
        self,
        units: int,
        hidden_units: int | tuple[int, ...] = (),
        hidden_bias: bool = False,
        hidden_norm: bool = True,
        output_bias: bool = False,
        output_norm: bool = False,
        output_scale: bool = False,
        output_center: bool = False,
        kernel_initializer="glorot_uniform",
        activation="relu",
        **kwargs,
    ):
        super().__init__(**kwargs)
        if isinstance(hidden_units, int):
            hidden_units = (hidden_units,)
        hidden_units = tuple(hidden_units)
        if any(not isinstance(n, int) or n < 1 for n in (units, *hidden_units)):
            raise ValueError(
                "`units` and `hidden_units` must be positive ints. "
                f"Received: units={units!r}, hidden_units={hidden_units!r}"
            )
        if (output_scale or output_center) and not output_norm:
            raise ValueError(
                "`output_scale` and `output_center` belong to the output's batch norm: "
                "set `output_norm=True`, or leave them out. Received: "
                f"output_norm={output_norm}, output_scale={output_scale}, "
                f"output_center={output_center}"
            )
        self.units = units
        self.hidden_units = hidden_units
        self.hidden_bias = hidden_bias
        self.hidden_norm = hidden_norm
        self.output_bias = output_bias
        self.output_norm = output_norm
        self.output_scale = output_scale
        self.output_center = output_center
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.activation = keras.activations.get(activation)

        self._sublayers = []
        for index, width in enumerate(hidden_units, start=1):
            self._add_dense(width, hidden_bias, f"hidden{index}_dense")
            if hidden_norm:
                self._add_norm(True, True, f"hidden{index}_norm")
            self._sublayers.append(
                keras.layers.Activation(
                    self.activation,
                    dtype=self.dtype_policy,
                    name=f"hidden{index}_activation",
                )
            )
        self._add_dense(units, output_bias, "output_dense")
        if output_norm:
            self._add_norm(output_scale, output_center, "output_norm")

    def _add_dense(self, units, use_bias, name):
        # A copy: one initializer object gives every kernel of a shape the same values.
        initializer = self.kernel_initializer
        if isinstance(initializer, keras.initializers.Initializer):
            initializer = initializer.clone()
        self._sublayers.append(
            keras.layers.Dense(
                units,
                use_bias=use_bias,
                kernel_initializer=initializer,
                dtype=self.dtype_policy,
                name=name,
            )
        )

    def _add_norm(self, scale, center, name):
        self._sublayers.append(
            keras.layers.BatchNormalization(
                momentum=0.9,
                epsilon=1e-5,
                scale=scale,
                center=center,
                synchronized=True,
                dtype=self.dtype_policy,
                name=name,
            )
        )

    def build(self, input_shape):
        """Create the weights of all layers."""
        if len(input_shape) != 2 or input_shape[-1] is None:
            raise ValueError(
                "A projection head expects features of shape (batch, dim). Pool the "
                "encoder's feature map with keras.layers.GlobalAveragePooling2D(). "
                f"Received: input_shape={tuple(input_shape)}"
            )
        for layer in self._sublayers:
            layer.build(input_shape)
            input_shape = layer.compute_output_shape(input_shape)
        self.built = True

    def call(self, features, training=None):
        """Map features `(batch, dim)` to embeddings `(batch, units)`."""
        x = features
        for layer in self._sublayers:
            if isinstance(layer, keras.layers.BatchNormalization):
                x = layer(x, training=training)
            else:
                x = layer(x)
        return x

    def first_layers(self, count: int) -> keras.Sequential:
        """Return a copy of the first layers, with their weights, as a network.

        A layer is Dense with the batch norm and the activation behind it.

        Args:
            count: Number of layers, from 1 to all: the hidden ones and the output's.

        Returns:
            A `keras.Sequential` from features `(batch, dim)` to `(batch, width)`.

        Raises:
            ValueError: A `count` that the head does not have, or a head without
                weights.
        """
        starts = [
            index
            for index, layer in enumerate(self._sublayers)
            if isinstance(layer, keras.layers.Dense)
        ]
        whole = isinstance(count, int) and not isinstance(count, bool)
        if not whole or not 1 <= count <= len(starts):
            raise ValueError(
                f"The head has {len(starts)} layers, {len(starts) - 1} of them hidden. "
                f"Received: {count=}. Take one from 1 to {len(starts)}."
            )
        if not self.built:
            raise ValueError(
                f"The head {self.name!r} has no weights yet. Build a model with it."
            )
        end = [*starts, len(self._sublayers)][count]
        taken = self._sublayers[:end]
        copies = [type(layer).from_config(layer.get_config()) for layer in taken]
        width = self._sublayers[0].kernel.shape[0]
        copy = keras.Sequential([keras.Input((width,)), *copies], name="head")
        for layer, original in zip(copies, taken, strict=True):
            layer.set_weights(original.get_weights())
        return copy

    def compute_output_shape(self, input_shape):
        """Return `(batch, units)`."""
        return (input_shape[0], self.units)

    def get_config(self):
        """Return the constructor's arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "hidden_units": list(self.hidden_units),
            "hidden_bias": self.hidden_bias,
            "hidden_norm": self.hidden_norm,
            "output_bias": self.output_bias,
            "output_norm": self.output_norm,
            "output_scale": self.output_scale,
            "output_center": self.output_center,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "activation": keras.activations.serialize(self.activation),
        }
