"""Docstrings of this package as Markdown, for mkdocstrings.

Griffe, which reads them, knows `Args:`, `Raises:` and `Attributes:`. Here examples
become code blocks, and what a call takes or returns a list or a paragraph. A loader's
keyword `options` stands for all keywords of `Options`.
"""

import re
import textwrap

import griffe

_HEADER = re.compile(r"(Example|Examples|Returns|Call arguments|References?):(.*)")


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is parsed."""

    def on_object(self, *, obj, **kwargs):
        """Rewrite one docstring, and show a loader's keywords."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
        if obj.is_function:
            names = [str(decorator.value) for decorator in obj.decorators]
            if "takes_options" in names:
                options = obj.parameters["options"]
                del obj.parameters["options"]
                options.kind = griffe.ParameterKind.var_keyword
                obj.parameters.add(options)


def markdown(text: str) -> str:
    """Return a docstring with the sections that Griffe does not know as Markdown."""
    lines, done = text.split("\n"), []
    while lines:
        found = _HEADER.fullmatch(lines[0])
        if not found:
            done.append(lines.pop(0))
            continue
        lines.pop(0)
        name, rest = found.groups()
        while rest and lines and lines[0].strip() and lines[0][0] not in " >":
            rest += f" {lines.pop(0)}"
        block = []
        while lines and _belongs(lines[0], block):
            block.append(lines.pop(0))
        body = textwrap.dedent("\n".join(block)).strip("\n")
        done += _section(name, rest.strip(), body)
    return "\n".join(done)


def _belongs(line, block):
    """Whether a line goes on with a section: indented, or of a doctest."""
    if not line.strip() or line.startswith((" ", ">>>")):
        return True
    return any(x.startswith(">>>") for x in block) and bool(block[-1].strip())


def _section(name, rest, body):
    """One section: its name, the rest of that line, and what is indented below."""
    title = f"**{name}** {rest}".strip()
    if not body.strip():
        return [title, ""] if rest else []
    if name.startswith("Example"):
        language = "pycon" if ">>>" in body else "python"
        return [title, "", f"```{language}", body, "```", ""]
    if name == "Call arguments":
        body = re.sub(r"^(\w[\w, *]*): ", r"- `\1`: ", body, flags=re.MULTILINE)
    if name.startswith("Reference") and rest:
        return [f"{title} {body}", ""]
    return [title, "", body, ""]
