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
        line = lines.pop(0)
        found = _HEADER.fullmatch(line)
        if not found:
            done.append(line)
            continue
        block = []
        while lines and (not lines[0].strip() or lines[0].startswith((" ", ">>>"))):
            block.append(lines.pop(0))
        done += _section(*found.groups(), textwrap.dedent("\n".join(block)).strip("\n"))
    return "\n".join(done)


def _section(name, rest, body):
    """One section: its name, the rest of that line, and what is indented below."""
    rest = rest.strip()
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
