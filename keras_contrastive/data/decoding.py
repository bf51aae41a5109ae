"""The files a loader takes for images, and why one of them cannot be read."""

import re

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")


def reason(error: Exception) -> str:
    """The sentence in a TensorFlow error, without node names and stacks."""
    text = getattr(error, "message", None) or str(error)
    asserted = re.search(r"assertion failed: \[(.*)\]", text)
    if asserted:
        return asserted[1].replace("] [", " ")
    text = re.sub(
        r"Error in user-defined function passed to .*?: (Iterator\S*: )?", "", text
    )
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*?\]( name:)?", "", text).strip()
    return text.splitlines()[0].strip(" .") if text else type(error).__name__
