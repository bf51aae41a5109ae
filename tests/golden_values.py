"""Reads tests/golden/*.npz: values computed by the methods' own authors' code."""

import json
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden"


def load(name):
    """Return {case: {"hp": hyper-parameters, array name: array}} of one golden file."""
    with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
        meta = json.loads(str(file["meta"]))
        cases = {case: {"hp": hp} for case, hp in meta["cases"].items()}
        for key in file.files:
            if "/" in key:
                case, array = key.split("/", 1)
                cases[case][array] = file[key]
    return cases
