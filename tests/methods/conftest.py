"""Seeds of these tests, whose models are shared."""

import keras
import pytest
from helpers import set_seed


@pytest.fixture(autouse=True)
def _seed():
    set_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
