"""The notebook runs from top to bottom, on fewer images than its reader has."""

import pathlib

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
NOTEBOOK = pathlib.Path(__file__).parents[2] / "examples" / "start.ipynb"
SETTINGS = "epochs, images, width = "


@pytest.mark.slow
def test_every_cell_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (settings,) = [c for c in notebook.cells if c.source.startswith(SETTINGS)]
    settings.source = f"{SETTINGS}1, 256, 2"
    for cell in notebook.cells:
        cell.source = cell.source.replace("num_images=500", "num_images=40")
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert (tmp_path / "runs" / "start" / "1" / "saved_model.pb").exists()


def test_its_outputs_are_there_and_without_errors():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    pictures = [x for x in outputs if "image/png" in x.get("data", {})]
    assert len(pictures) == 4
    assert not [x for x in outputs if x.output_type == "error"]
    # Neither the machine that it ran on, nor what TensorFlow logs.
    assert not [x for x in outputs if x.get("name") == "stderr"]
    assert NOTEBOOK.stat().st_size < 600_000
