"""What `config.json` may build, and what it may not run."""

import keras
import pytest
from damage import rewrite

import keras_contrastive as kc
from keras_contrastive.zoo import encoder_config

EVIL = {
    "lambda layer": {"module": "keras.layers", "class_name": "Lambda"},
    "code in bytes": {"module": None, "class_name": "__lambda__"},
    "function": {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
    },
    "function in disguise": {
        "module": "keras.utils",
        "class_name": "function",
        "registered_name": "keras_contrastive>SyncBatchNormalization",
    },
    "other module": {"module": "os", "class_name": "system"},
    "another package": {"module": "keras_hub.layers", "class_name": "MaskedLMHead"},
    "saved model": {"module": "keras.layers", "class_name": "TFSMLayer"},
    "no module": {"class_name": "Dense"},
    "no class": {"module": "keras.layers", "class_name": "deserialize"},
    "not a string": {"module": "keras.layers", "class_name": ["Dense"]},
    "under another name": {
        "module": "keras.layers",
        "class_name": "Dense",
        "registered_name": "evil>Dense",
    },
    "not of ours": {
        "module": "keras_contrastive.x",
        "class_name": "Evil",
        "registered_name": "keras_contrastive>Evil",
    },
}


@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_code_is_refused(evil, encoder):
    config = encoder_config.to_config(encoder)
    config["config"]["layers"][1] = {"config": {}, "name": "x", **evil}
    with pytest.raises(ValueError, match="could run foreign code.*'here'") as error:
        encoder_config.from_config(config, "'here'")
    assert repr(evil["class_name"]) in str(error.value)


def test_a_refused_layer_is_refused_by_both_sides(preset, tmp_path):
    x = keras.Input((8, 8, 3))
    y = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(x, keras.layers.Lambda(lambda z: z + 1, name="hidden")(y))
    with pytest.raises(ValueError, match="Lambda layers.*layer 'hidden'"):
        kc.save_to_preset(model, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    config = keras.saving.serialize_keras_object(model)
    rewrite(preset, "config.json", lambda c: (c.clear(), c.update(config)))
    with pytest.raises(ValueError, match="config.json.*class_name='Lambda'"):
        kc.from_preset(preset)


def test_a_configuration_of_more_weights_than_the_file_has(preset, tmp_path):
    """2 kB of JSON may stand for 40 GB of memory."""

    def grow(config):
        dense = keras.layers.Dense(100_000)
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
        functional = encoder_config.to_config(
            keras.Model(model.inputs, keras.layers.Dense(4)(model.outputs[0]))
        )
        layers = functional["config"]["layers"]
        layers[-1]["config"]["units"] = dense.units**2
        config.clear()
        config.update(functional)

    rewrite(preset, "config.json", grow)
    with pytest.raises(ValueError, match="more numbers than the [0-9,]+ that the file"):
        kc.from_preset(preset)


def test_names_that_could_steer_the_terminal(preset):
    rewrite(preset, "config.json", lambda x: x["config"].update(name="\x1b]0;owned"))
    with pytest.raises(ValueError, match="printable.*Received: .*x1b]0;owned'"):
        kc.from_preset(preset)


def test_a_configuration_and_weights_that_do_not_fit(preset, tmp_path):
    rewrite(preset, "config.json", lambda x: x["config"].update(output_layers=3))
    with pytest.raises(ValueError, match="cannot be built.*another version of Keras"):
        kc.from_preset(preset)
    other = encoder_config.to_config(kc.encoders.resnet(10, 5, input_shape=(28, 28, 1)))
    rewrite(preset, "config.json", lambda x: x.update(other))
    with pytest.raises(ValueError, match="does not hold the weights of config.json"):
        kc.from_preset(preset)
    other = kc.encoders.resnet(18, 4, input_shape=(28, 28, 1))  # more layers
    rewrite(preset, "config.json", lambda x: x.update(encoder_config.to_config(other)))
    with pytest.raises(ValueError, match="does not hold the weights of config.json"):
        kc.from_preset(preset)
