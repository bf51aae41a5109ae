"""README's code runs as it stands, and its tables name what exists."""

import pathlib
import re

import keras_contrastive as kc

README = (pathlib.Path(__file__).parent.parent / "README.md").read_text()


def test_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL).group(1)
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 16
    # As it stands, on fewer images.
    small = [tuple(part[:2000] for part in split) for split in kc.data.load_sample()]
    monkeypatch.setattr(kc.data, "load_sample", lambda: small)
    exec(compile(code, "README.md", "exec"), {})
    assert (tmp_path / "runs/readme/1/saved_model.pb").exists()
    accuracy = float(re.findall(r"^0\.\d+$", capsys.readouterr().out, re.MULTILINE)[-1])
    assert accuracy > 0.5  # chance is 0.1


def test_every_method_stands_in_the_table():
    for name in kc.methods.__all__:
        method = getattr(kc, name)
        if issubclass(method, kc.ContrastiveModel) and name != "ContrastiveModel":
            assert f"| `kc.{name}` |" in README
