"""Table and chart of the results of `input_pipeline.py`."""

import os
import statistics

OURS = "keras_contrastive"
LIGHTLY = "lightly"
COPY = "memory copy"
STAGE = "ours: "  # begins the names of the rows that profile our pipeline


def median(row):
    """Median of a row's runs, in two-view samples per second."""
    return statistics.median(row["samples_per_second"])


def table(results):
    """The results as Markdown, one block for each size.

    Args:
        results: Dictionary from size to record, as in the JSON file.
    """
    blocks = []
    for size, record in sorted(results.items(), key=lambda item: int(item[0])):
        rows = record["rows"]
        lines = [
            f"{size} px from {record['source']}, batches of {record['batch_size']}\n",
            f"| {'':25} | samples/s |   least |    most | x lightly | of copy |",
            f"|{'-' * 27}|{'-' * 10}:|{'-' * 8}:|{'-' * 8}:|{'-' * 10}:|{'-' * 8}:|",
        ]
        for name, row in rows.items():
            speeds = row["samples_per_second"]
            lines.append(
                f"| {name:25} | {median(row):9,.0f} | {min(speeds):7,.0f} "
                f"| {max(speeds):7,.0f} | {_ratio(row, rows, LIGHTLY):>9} "
                f"| {_share(row, rows):>7} |"
            )
        versions = {k: v for row in rows.values() for k, v in row["versions"].items()}
        named = (f"{package} {version}" for package, version in versions.items())
        lines.append("\n" + ", ".join(named))
        lines += [f"\n{name} is left out: {why}" for name, why in record["out"].items()]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def chart(results, path):
    """Write a bar chart: one panel for each size, speeds relative to lightly.

    Args:
        results: Dictionary from size to record, as in the JSON file.
        path: PNG file.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2 * len(results), 2.9), layout="constrained")
    panels = figure.subplots(1, len(results), squeeze=False)[0]
    ordered = sorted(results.items(), key=lambda item: int(item[0]))
    for panel, (size, record) in zip(panels, ordered, strict=True):
        everything = record["rows"]
        rows = {
            name: row
            for name, row in everything.items()
            if name != COPY and not name.startswith(STAGE)
        }
        speeds = [median(row) for row in rows.values()]
        colors = ["#c0392b" if name == OURS else "#8a95a0" for name in rows]
        places = range(len(rows))
        panel.barh(places, speeds, color=colors, height=0.7)
        for place, row in zip(places, rows.values(), strict=True):
            ratio = _ratio(row, everything, LIGHTLY)
            text = f" {median(row):,.0f}" + (f"  ({ratio})" if ratio else "")
            panel.text(median(row), place, text, va="center", fontsize=9)
        panel.set_yticks(places, rows)
        panel.invert_yaxis()
        panel.set_xlim(0, 1.6 * max(speeds))
        panel.set_title(f"{size} px from {record['source']}", fontsize=10)
        panel.set_xlabel("two-view samples/s (x lightly)", fontsize=9)
        panel.tick_params(labelsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    temporary = f"{path}.tmp.png"
    figure.savefig(temporary, dpi=150)
    os.replace(temporary, path)


def _ratio(row, rows, reference):
    if reference not in rows:
        return ""
    return f"{median(row) / median(rows[reference]):.2f} x"


def _share(row, rows):
    if COPY not in rows:
        return ""
    return f"{100 * median(row) / median(rows[COPY]):.1f} %"
