"""The figures of the methods' networks: `python docs/figures.py` writes docs/figures/.

A figure is a text. A line `name: kind column row words` is a box. A line `a > b > c`
has arrows between boxes: `>` carries a gradient, `|>` does not, `~>` is a moving
average that follows, and `:>` fills a queue or a bank after the step. Words after a
second colon stand beside the last arrow of the line.
"""

import html
import math
import pathlib
import re

FOLDER = pathlib.Path(__file__).parent / "figures"
COLUMN, ROW, WIDTH, HEIGHT, EDGE = 168, 76, 138, 42, 20
COLORS = {
    "image": "#ffffff",
    "encoder": "#cfe1ff",
    "projector": "#d3efd3",
    "predictor": "#ffe2bd",
    "target": "#e6dbf7",
    "store": "#fff1ad",
    "other": "#e3e7eb",
    "loss": "#ffd4d4",
}
ARROWS = {">": "", "|>": "no gradient", "~>": "moving average", ":>": "after the step"}

TWO_VIEWS = """
v1: image 0 0 view 1
e1: encoder 1 0 encoder
p1: projector 2 0 projector
v2: image 0 2 view 2
e2: encoder 1 2 encoder, the same
p2: projector 2 2 projector, the same
v1 > e1 > p1
v2 > e2 > p2
"""
TARGET = """
v1: image 0 0 view 1
e1: encoder 1 0 encoder
p1: projector 2 0 projector
v2: image 0 2 view 2
e2: target 1 2 target's encoder
p2: target 2 2 target's projector
v1 > e1 > p1
v2 > e2 > p2
e1 ~> e2
p1 ~> p2
"""
ONE_VIEW = """
v1: image 0 1 view
e1: encoder 1 1 encoder
v1 > e1
"""

FIGURES = {
    "simclr": f"""{TWO_VIEWS}
loss: loss 3.2 1 NT-Xent: find the other view
rest: image 3.2 2.2 all other images of the batch
p1 > loss
p2 > loss
rest > loss
""",
    "supcon": f"""{TWO_VIEWS}
loss: loss 3.2 1 SupCon: find all of the class
labels: image 3.2 2.2 labels of the batch
p1 > loss
p2 > loss
labels > loss
""",
    "exemplar": f"""{TWO_VIEWS}
loss: loss 3.2 1 Exemplar: find the other view
rest: image 3.2 2.2 images of other classes
p1 > loss
p2 > loss
rest > loss
""",
    "byol": f"""{TARGET}
q1: predictor 3 0 predictor
loss: loss 4 1 squared distance, both ways
p1 > q1 > loss
p2 |> loss
""",
    "simsiam": f"""{TWO_VIEWS}
q1: predictor 3 0 predictor
loss: loss 4 1 minus the cosine, both ways
p1 > q1 > loss
p2 |> loss
""",
    "sce": f"""{TARGET.replace("view 1", "strong view").replace("view 2", "weak view")}
queue: store 3.1 3 queue of keys
soft: other 3.1 2 soft similarities
loss: loss 4.1 1 cross-entropy
p1 > loss
p2 |> soft |> loss
queue |> soft
p2 :> queue
""",
    "moco": f"""{TARGET}
queue: store 3.1 2.6 queue, or keys of the batch
loss: loss 3.6 1 InfoNCE: find the key
p1 > loss
p2 |> loss
queue |> loss
p2 :> queue
""",
    "nnclr": f"""{TWO_VIEWS}
queue: store 3 2 nearest in the support set
q1: predictor 3 0 predictor
loss: loss 4 1 InfoNCE in the batch, both ways
p1 > q1 > loss
p2 |> queue |> loss
""",
    "barlow_twins": f"""{TWO_VIEWS}
c: other 3.1 1 cross-correlation, dim x dim
loss: loss 4.2 1 distance to the identity
p1 > c
p2 > c > loss
""",
    "vicreg": f"""{TWO_VIEWS}
i: loss 3.3 1 invariance: z1 = z2
a: loss 3.3 0 variance, covariance of z1
b: loss 3.3 2 variance, covariance of z2
p1 > a
p1 > i
p2 > i
p2 > b
""",
    "align_uniform": f"""{TWO_VIEWS}
i: loss 3.3 1 alignment: z1 near z2
a: loss 3.3 0 uniformity of z1
b: loss 3.3 2 uniformity of z2
p1 > a
p1 > i
p2 > i
p2 > b
""",
    "mmcl": f"""{TWO_VIEWS}
svm: other 3.1 0 support vector machine
loss: loss 4.2 1 weighted kernel distances
p1 |> svm |> loss: weights
p1 > loss
p2 > loss
""",
    "instance_discrimination": f"""{ONE_VIEW}
ids: image 2 2.2 id of the image
bank: store 3.1 2.2 memory bank: a row an image
loss: loss 4.1 1 NCE: own row against noise
p1: projector 2 1 projector
e1 > p1 > loss
ids > bank |> loss
p1 :> bank
""",
    "cmc": """
v: image 0 1 view
l: image 1 0 lightness
c: image 1 2 colour
e1: encoder 2 0 encoder of lightness
e2: encoder 2 2 encoder of colour
p1: projector 3 0 projector
p2: projector 3 2 projector
b1: store 4 0 bank of lightness
b2: store 4 2 bank of colour
loss: loss 4.9 1 NCE, both ways
v > l > e1 > p1
v > c > e2 > p2
p1 > loss
p2 > loss
b1 |> loss
b2 |> loss
p1 :> b1
p2 :> b2
""",
    "pirl": """
v1: image 0 0 view
e1: encoder 1.2 0 encoder
p1: projector 2.2 0 projector
v2: image 0 2 nine shuffled patches
e2: encoder 1.2 2 encoder, the same
p2: projector 2.2 2 patch projector
bank: store 3.4 1 memory bank: a row an image
a: loss 4.4 0 NCE of the image
b: loss 4.4 2 NCE of the patches
v1 > e1 > p1 > a
v2 > e2 > p2 > b
bank |> a
bank |> b
p1 :> bank
""",
    "lejepa": """
v1: image 0 0 global views
v2: image 0 2 local views
e: encoder 1.1 1 encoder
p: projector 2.1 1 projector
a: loss 3.3 0 all views of an image agree
b: loss 3.3 2 test of slices for a Gaussian
v1 > e
v2 > e > p
p > a
p > b
""",
    "visreg": """
v1: image 0 0 global views
v2: image 0 2 local views
e: encoder 1.1 1 encoder
p: projector 2.1 1 projector
a: loss 3.3 0 all views of an image agree
b: loss 3.3 1 scale 1, centre 0
c: loss 3.3 2 slices: shape of a Gaussian
v1 > e
v2 > e > p
p > a
p > b
p > c
""",
    "swav": """
v1: image 0 0 large view 1
e1: encoder 1 0 encoder
p1: projector 2 0 projector
c1: store 3 0 prototypes
v2: image 0 2 every other view
e2: encoder 1 2 encoder, the same
p2: projector 2 2 projector, the same
c2: store 3 2 prototypes, the same
s: other 4 0 Sinkhorn-Knopp
loss: loss 5 1 cross-entropy, both large views
v1 > e1 > p1 > c1 |> s |> loss
v2 > e2 > p2 > c2 > loss
""",
    "pcl": f"""{TARGET}
queue: store 3.1 2 queue of keys
a: loss 4.2 0 InfoNCE: find the key
proto: store 3.1 3.1 prototypes: k-means
b: loss 4.2 2 ProtoNCE: find the prototype
p1 > a
queue |> a
p2 :> queue
p2 :> proto
proto |> b
p1 > b
""",
    "cpc": """
v: image 0 1 view, cut into patches
e: encoder 1.1 1 encoder of a patch
g: projector 2.2 2 projector: targets
c: other 2.2 0 context: rows above
w: predictor 3.2 0 a matrix an offset
loss: loss 4.1 1 InfoNCE: find the patch below
v > e > g > loss
e > c > w > loss
""",
    "dim": """
v: image 0 1 view
e: encoder 1 1 encoder
p: projector 2.1 1 projector
l: projector 2.1 0 local projector
a: loss 3.3 0 find its own places
d: other 2.1 2 code, discriminator
b: loss 3.3 2 match the prior
v > e > p > a
e > l > a
e > d > b
""",
    "amdim": """
v1: image 0 0 view 1
v2: image 0 2 view 2
e1: encoder 1 0 encoder
e2: encoder 1 2 encoder, the same
g: projector 2.1 0 embedding of the image
f: projector 2.1 2 places of 5 x 5 and 7 x 7
loss: loss 3.3 1 NCE: find the places, both ways
v1 > e1 > g > loss
v2 > e2 > f > loss
""",
    "dino": """
v1: image 0 0 all views
e1: encoder 1 0 encoder
p1: projector 2 0 projector: scores
v2: image 0 2 large views
e2: target 1 2 target's encoder
p2: target 2 2 target's projector
c: store 3 2 centre and sharpen
loss: loss 4 1 cross-entropy
v1 > e1 > p1 > loss
v2 > e2 > p2 |> c |> loss
e1 ~> e2
p1 ~> p2
""",
    "distillation": """
v1: image 0 1 view
e1: encoder 1 0 student
e2: target 1 2 teacher, trained before
p1: projector 2 0 projector, or nothing
loss: loss 3.1 1 cross-entropy of both
labels: image 3.1 2.2 labels, where there are any
v1 > e1 > p1 > loss
v1 > e2 |> loss
labels > loss
""",
}


def draw(text: str) -> str:
    """Return a figure as SVG."""
    boxes, arrows = _parse(text)
    used = list(dict.fromkeys(kind for *_, kind, _ in arrows))
    right = max(column for _, column, _, _ in boxes.values())
    bottom = max(row for _, _, row, _ in boxes.values())
    width = EDGE * 2 + right * COLUMN + WIDTH
    top = EDGE * 2 + bottom * ROW + HEIGHT
    legend = [ARROWS[kind] for kind in used if ARROWS[kind]]
    height = top + (24 if legend else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" '
        'font-size="13" fill="#1c2430">',
        '<defs><marker id="tip" markerWidth="9" markerHeight="8" refX="8" refY="4" '
        'orient="auto"><path d="M0 0L9 4L0 8z" fill="#48525f"/></marker></defs>',
        f'<rect width="{width:g}" height="{height:g}" rx="8" fill="#f6f8fa"/>',
    ]
    for start, end, kind, words in arrows:
        parts.append(_arrow(boxes[start], boxes[end], kind, words))
    parts += [_box(*box) for box in boxes.values()]
    if legend:
        parts.append(_legend(used, top))
    return "\n".join([*parts, "</svg>\n"])


def _parse(text):
    """The boxes by name, and the arrows of a figure."""
    boxes, arrows = {}, []
    for line in text.strip().splitlines():
        box = re.fullmatch(r"(\w+): (\w+) ([\d.]+) ([\d.]+) (.+)", line)
        if box:
            name, kind, column, row, words = box.groups()
            boxes[name] = kind, float(column), float(row), words
            continue
        line, _, words = line.partition(": ")
        names = re.split(r" [|~:]?> ", line)
        kinds = re.findall(r" ([|~:]?>) ", line)
        for i, kind in enumerate(kinds):
            last = words if i + 1 == len(kinds) else ""
            arrows.append((names[i], names[i + 1], kind, last))
    top = min(row for _, _, row, _ in boxes.values())
    boxes = {name: (a, b, row - top, c) for name, (a, b, row, c) in boxes.items()}
    return boxes, arrows


def _place(column, row):
    """The centre of a box."""
    return EDGE + column * COLUMN + WIDTH / 2, EDGE + row * ROW + HEIGHT / 2


def _box(kind, column, row, words):
    x, y = _place(column, row)
    radius = HEIGHT / 2 if kind == "loss" else 6
    dash = ' stroke-dasharray="5 3"' if kind == "target" else ""
    shape = (
        f'<rect x="{x - WIDTH / 2:g}" y="{y - HEIGHT / 2:g}" width="{WIDTH}" '
        f'height="{HEIGHT}" rx="{radius:g}" fill="{COLORS[kind]}" stroke="#48525f"'
        f"{dash}/>"
    )
    lines = _lines(words)
    texts = [
        f'<text x="{x:g}" y="{y + 4.5 + 15 * (i - (len(lines) - 1) / 2):g}" '
        f'text-anchor="middle">{html.escape(line)}</text>'
        for i, line in enumerate(lines)
    ]
    return "\n".join([shape, *texts])


def _lines(words):
    """One line of words, or two of about one length."""
    if len(words) <= 15:
        return [words]
    spaces = [i for i, letter in enumerate(words) if letter == " "]
    middle = min(spaces, key=lambda i: abs(i - len(words) / 2))
    return [words[:middle], words[middle + 1 :]]


def _arrow(start, end, kind, words):
    """From the edge of one box to that of another."""
    (x, y), (u, v) = _place(*start[1:3]), _place(*end[1:3])
    if abs(u - x) < WIDTH:  # one above the other
        sign = math.copysign(1, v - y)
        y, v = y + sign * HEIGHT / 2, v - sign * HEIGHT / 2
    else:
        sign = math.copysign(1, u - x)
        x, u = x + sign * WIDTH / 2, u - sign * WIDTH / 2
    dash = {"~>": ' stroke-dasharray="6 4"', ":>": ' stroke-dasharray="2 3"'}
    line = (
        f'<path d="M{x:g} {y:g}L{u:g} {v:g}" stroke="#48525f" stroke-width="1.4" '
        f'marker-end="url(#tip)"{dash.get(kind, "")}/>'
    )
    parts = [line]
    if kind == "|>":
        angle = math.degrees(math.atan2(v - y, u - x))
        parts.append(_stop((x + u) / 2, (y + v) / 2, angle))
    if words:
        parts.append(
            f'<text x="{(x + u) / 2:g}" y="{(y + v) / 2 - 8:g}">{words}</text>'
        )
    return "\n".join(parts)


def _stop(x, y, angle):
    """Two bars across an arrow."""
    return (
        f'<path d="M-2 -6V6M3 -6V6" stroke="#c22f2f" stroke-width="2" '
        f'transform="translate({x:g} {y:g}) rotate({angle:.1f})"/>'
    )


def _legend(kinds, y):
    """What the arrows mean."""
    parts, x = [], EDGE
    for kind in kinds:
        if not ARROWS[kind]:
            continue
        dash = {"~>": ' stroke-dasharray="6 4"', ":>": ' stroke-dasharray="2 3"'}
        parts.append(
            f'<path d="M{x} {y}h34" stroke="#48525f" stroke-width="1.4" '
            f'marker-end="url(#tip)"{dash.get(kind, "")}/>'
        )
        if kind == "|>":
            parts.append(_stop(x + 15, y, 0))
        parts.append(f'<text x="{x + 42}" y="{y + 4}">{ARROWS[kind]}</text>')
        x += 60 + 8 * len(ARROWS[kind])
    return "\n".join(parts)


def main():
    """Write all figures."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in FIGURES.items():
        (FOLDER / f"{name}.svg").write_text(draw(text))
    (FOLDER / "favicon.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
        '<rect width="32" height="32" rx="6" fill="#3f51b5"/>'
        '<circle cx="12" cy="16" r="6" fill="#fff"/>'
        '<circle cx="21" cy="16" r="6" fill="#fff" fill-opacity=".6"/></svg>\n'
    )


if __name__ == "__main__":
    main()
