"""Finds the members and elements of a JSON text as bytes, so that nothing passes through a parser that could change it.

Only for texts that are known to be good JSON.
"""

SPACE = b" \t\r\n"


def skip(text, at):
    while text[at] in SPACE:
        at += 1
    return at


def end_of_string(text, at):
    at += 1
    while text[at:at + 1] != b'"':
        at += 2 if text[at:at + 1] == b"\\" else 1
    return at + 1


def end_of_value(text, at):
    depth = 0
    while True:
        here = text[at:at + 1]
        if here == b'"':
            at = end_of_string(text, at)
        elif here in (b"[", b"{"):
            depth += 1
            at += 1
        elif here in (b"]", b"}"):
            depth -= 1
            at += 1
        elif depth == 0:
            while at < len(text) and text[at] not in b",]}" + SPACE:
                at += 1
        else:
            at += 1
        if depth == 0:
            return at


def elements(text):
    """The elements of an array: their bytes."""
    found = []
    at = skip(text, skip(text, 0) + 1)
    while text[at:at + 1] != b"]":
        end = end_of_value(text, at)
        found.append(text[at:end])
        at = skip(text, end)
        if text[at:at + 1] == b",":
            at = skip(text, at + 1)
    return found


def members(text):
    """The members of an object: name to bytes. Names must have no escapes."""
    found = {}
    at = skip(text, skip(text, 0) + 1)
    while text[at:at + 1] != b"}":
        end = end_of_string(text, at)
        name = text[at + 1:end - 1].decode()
        at = skip(text, skip(text, end) + 1)
        end = end_of_value(text, at)
        found[name] = text[at:end]
        at = skip(text, end)
        if text[at:at + 1] == b",":
            at = skip(text, at + 1)
    return found


def compact(text):
    """The text without the white space outside its strings."""
    out = []
    at = 0
    while at < len(text):
        if text[at] in SPACE:
            at += 1
            continue
        end = end_of_string(text, at) if text[at:at + 1] == b'"' else at + 1
        out.append(text[at:end])
        at = end
    return b"".join(out)
