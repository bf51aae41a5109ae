"""What holds for everything that is exported."""

import inspect
import subprocess
import sys

import keras
import pytest

import keras_contrastive as kc

MODULES = [kc] + [
    getattr(kc, name) for name in kc.__all__ if inspect.ismodule(getattr(kc, name))
]
PUBLIC = [
    (module.__name__, name, getattr(module, name))
    for module in MODULES
    for name in getattr(module, "__all__", [])
    if not inspect.ismodule(getattr(module, name))
]


@pytest.mark.parametrize(("module", "name", "thing"), PUBLIC)
def test_is_documented(module, name, thing):
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert inspect.getdoc(thing), f"{module}.{name} has no docstring"
    if not inspect.isclass(thing):
        return
    for attribute, member in vars(thing).items():
        if inspect.isfunction(member) and not attribute.startswith("_"):
            assert inspect.getdoc(getattr(thing, attribute)), f"{name}.{attribute}"


@pytest.mark.parametrize(("module", "name", "thing"), PUBLIC)
def test_what_can_be_saved_is_registered(module, name, thing):
    kinds = (keras.Model, keras.layers.Layer, keras.losses.Loss)
    if not inspect.isclass(thing) or not issubclass(thing, kinds):
        return
    if inspect.isabstract(thing) or name in ("ContrastiveModel", "ContrastiveLoss"):
        return
    assert keras.saving.get_registered_name(thing) == f"keras_contrastive>{name}"


def test_import_is_quiet_and_keras_cv_comes_when_it_is_used(tmp_path):
    """A model saved with a policy inside is loaded without having named a layer."""
    keras.Sequential(
        [keras.Input((8, 8, 3)), kc.layers.RandomSolarize(0.5), keras.layers.Flatten()]
    ).save(tmp_path / "model.keras")
    program = """
import sys
import keras
import keras_contrastive as kc
kc.report.plot_curves  # everything is there
late = {"keras_cv", "tensorflow_datasets", "jinja2"} & {*sys.modules}
assert not late, late
print("imported", flush=True)
layer = keras.models.load_model(sys.argv[1]).layers[0]
assert type(layer) is kc.layers.RandomSolarize
"""
    run = subprocess.run(
        [sys.executable, "-W", "always", "-c", program, str(tmp_path / "model.keras")],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "imported\n"
    assert "keras_contrastive" not in run.stderr
    with pytest.raises(AttributeError, match="RandomSolarise"):
        kc.layers.RandomSolarise  # noqa: B018
