"""YAML (and JSON, which is YAML) read into plain data that remembers its lines, and refused where it is dangerous or means two things.

Theory of operation. The parser's stream of events is built into nodes by hand, without recursion, so that a hostile file can neither
overflow the stack nor unfold aliases without end. Only what YAML 1.1, YAML 1.2 and JSON read alike is read at all: `yes`, `010`, `1:30` or
a bare date are one thing to one reader and another to the next, so they are faults that ask for quotes. Everything else that is wrong is
collected too; only broken syntax stops the reading.
"""

import json
import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import yaml

from beton.errors import Fault

Path = tuple[str | int, ...]

MOST_BYTES = 1_000_000
MOST_VALUES = 200_000
"""Values after aliases are unfolded; a file of `MOST_BYTES` without aliases stays below it in practice."""
DEEPEST = 32
LONGEST_NUMBER = 300

EMPTY = ("the file is empty", "hypotheses: [...]")

NUMBER = re.compile(r"[-+]?(0|[1-9]\d*|(?=\.\d))(\.\d*)?([eE][-+]?\d+)?")
WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for value, text in ((True, "true"), (False, "false")) for word in (text, text.title(), text.upper())
}
_ESCAPED_PAIR = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_ELEVEN = yaml.SafeLoader.yaml_implicit_resolvers
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class Document:
    """`data` as plain values (aware datetimes for instants), the line of each path in it, and what was wrong, as far as it could be read."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    places: set[Path] = field(default_factory=set)

    def line(self, path: Path) -> int | None:
        """The line of the nearest thing that exists at or above `path`."""
        return next((self.lines[path[:end]] for end in range(len(path), -1, -1) if path[:end] in self.lines), None)

    def fault(self, path: Path, message: str, *nearest: str, line: int | None = None) -> None:
        self.places.add(path)
        self.faults.append(Fault(written(path), message, line or self.line(path), tuple(filter(None, nearest))))

    def put_under(self, key: str) -> None:
        """Make the whole document the value of one field."""
        self.data = {key: self.data}
        self.lines = {(): self.lines.get((), 1)} | {(key, *path): line for path, line in self.lines.items()}
        self.places = {(key, *path) for path in self.places}
        self.faults = [replace(fault, field=key + fault.field) if fault.field.startswith("[") else fault for fault in self.faults]


def written(path: Path) -> str:
    """A path as people write it: `hypotheses[2].clauses[0].span.first`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "file"


def read_yaml(content: str | bytes) -> Document:
    """The one document in `content`, UTF-8 with or without a byte order mark."""
    document = Document()
    text = _decoded(content, document)
    if text is None:
        return document
    try:
        root = _built(_json_for_yaml(text), document)
    except yaml.YAMLError as error:
        document.fault((), _syntax(error, text), line=_line_of(error, text))
        return document
    if root is not None:
        document.data = _unfolded(root, (), document)
    elif not document.faults:
        document.fault((), *EMPTY)
    return document


def _decoded(content: str | bytes, document: Document) -> str | None:
    raw = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    if len(raw) > MOST_BYTES:
        document.fault((), f"the file has {len(raw):,} bytes; at most {MOST_BYTES:,} are read", "several files")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        document.fault((), f"byte {error.start + 1} is not UTF-8 text", "save the file as UTF-8", line=raw[: error.start].count(b"\n") + 1)
        return None
    if not text.strip():
        document.fault((), *EMPTY)
        return None
    return text


def _json_for_yaml(text: str) -> str:
    """JSON may be indented by tabs and may write one character as two escapes; YAML knows neither. Lines stay as they are."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    return _ESCAPED_PAIR.sub(lambda found: found[1] + _character(found[2], found[3]), text.replace("\t", " "))


def _character(high: str, low: str) -> str:
    return bytes.fromhex(high + low).decode("utf-16-be")


# --- building --------------------------------------------------------------------------------------------------------


@dataclass
class _Node:
    """A scalar's `value`; or `items`, with `keys` (each with its line) of the same length when it is a mapping."""

    line: int
    value: Any = None
    items: list["_Node"] | None = None
    keys: dict[str, int] | None = None
    waiting: tuple[str, int] | None = None
    closed: bool = True
    troubles: list[tuple[str | None, str, int]] = field(default_factory=list)


def _built(text: str, document: Document) -> _Node | None:
    top = _Node(1, items=[])
    stack: list[_Node] = [top]
    anchors: dict[str, _Node] = {}
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent) and top.items:
            document.fault((), "a file holds one document; this is a second one", line=line)
            return None
        if isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            stack.pop().closed = True
        elif (node := _node(event, line, anchors)) is not None:
            _attach(event, node, stack[-1])
            if isinstance(event, yaml.CollectionStartEvent):
                stack.append(node)
        if len(stack) > DEEPEST:
            document.fault((), f"nested deeper than {DEEPEST} levels", line=line)
            return None
    return top.items[0] if top.items else None


def _node(event: yaml.Event, line: int, anchors: dict[str, _Node]) -> _Node | None:
    """The node that an event begins; None for the events around documents."""
    if isinstance(event, yaml.AliasEvent):
        found = anchors.get(event.anchor)
        if found is not None and found.closed:
            return found
        return _Node(line, f"*{event.anchor}", troubles=[(None, f"*{event.anchor} stands for nothing that is written in full above it", line)])
    if isinstance(event, yaml.ScalarEvent):
        node = _scalar(event, line)
    elif isinstance(event, yaml.CollectionStartEvent):
        node = _Node(line, items=[], keys={} if isinstance(event, yaml.MappingStartEvent) else None, closed=False)
        if event.tag is not None:
            node.troubles.append((None, f"the tag {event.tag} is not read", line))
    else:
        return None
    if event.anchor:
        anchors[event.anchor] = node
    return node


def _attach(event: yaml.Event, node: _Node, parent: _Node) -> None:
    """In a mapping the first of two nodes is the key, taken as it is written: `on:` is the key "on"."""
    if parent.items is None:
        return
    if parent.keys is None:
        parent.items.append(node)
    elif parent.waiting is None:
        parent.waiting = (event.value, node.line) if isinstance(event, yaml.ScalarEvent) else ("", node.line)
        if not isinstance(event, yaml.ScalarEvent):
            parent.troubles.append((None, "the name of a field is plain text", node.line))
    else:
        (key, line), parent.waiting = parent.waiting, None
        if key in parent.keys:
            parent.troubles.append((key, f"is written twice in one place, first in line {parent.keys[key]}", line))
        else:
            parent.keys[key] = line
            parent.items.append(node)


def _scalar(event: yaml.ScalarEvent, line: int) -> _Node:
    text = event.value
    if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
        return _Node(line, text, troubles=[(None, f"the tag {event.tag} is not read", line)])
    if event.tag is not None or not event.implicit[0]:
        return _Node(line, text)
    value, trouble = plain_scalar(text)
    return _Node(line, value, troubles=[(None, trouble, line)] if trouble else [])


def plain_scalar(text: str) -> tuple[Any, str]:
    """What an unquoted word means, and why it must not be left unquoted ("" when it may)."""
    if text in WORDS:
        return WORDS[text], ""
    if NUMBER.fullmatch(text):
        if len(text) > LONGEST_NUMBER or abs(float(text)) == float("inf"):
            return text, "this number is too large to be one"
        return (float(text) if re.search(r"[.eE]", text) else int(text)), ""
    kinds = [tag.rpartition(":")[2] for first in (text[:1], None) for tag, shape in _ELEVEN.get(first, ()) if shape.match(text)]
    if "timestamp" in kinds:
        return _instant(text)
    if "bool" in kinds:
        return text, f"{text} is a word to some readers of YAML and true or false to others: write true or false, or put it in quotes"
    if "int" in kinds or "float" in kinds or re.fullmatch(r"[-+]?(0[0-7]+|0o[0-7]+|\d+(:\d+)+)", text):
        return text, f"{text} is read as different numbers by different readers of YAML: write it as a plain number, or put it in quotes"
    return text, ""


def _instant(text: str) -> tuple[Any, str]:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is not None and when.tzinfo is not None:
        return when, ""
    return text, f"{text} looks like a moment: write it with its time and zone (2026-01-31T09:00:00Z), or put it in quotes if it is text"


# --- unfolding -------------------------------------------------------------------------------------------------------


def _unfolded(root: _Node, path: Path, document: Document) -> Any:
    """Plain data and the line of each path. Aliases are copied out, up to `MOST_VALUES` values and `DEEPEST` levels."""
    if len(document.lines) >= MOST_VALUES or len(path) > DEEPEST:
        if not any(fault.field == "file" for fault in document.faults):
            document.fault((), "its aliases unfold to more than can be read", "write the values out", line=root.line)
        return None
    document.lines.setdefault(path, root.line)
    for key, trouble, line in root.troubles:
        document.fault(path if key is None else (*path, key), trouble, line=line)
    if root.items is None:
        return root.value
    if root.keys is None:
        return [_unfolded(item, (*path, index), document) for index, item in enumerate(root.items)]
    unfolded = {}
    for (key, line), item in zip(root.keys.items(), root.items, strict=True):
        document.lines[(*path, key)] = line  # a field's line is that of its name, not of its value
        unfolded[key] = _unfolded(item, (*path, key), document)
    return unfolded


# --- syntax ----------------------------------------------------------------------------------------------------------


def _syntax(error: yaml.YAMLError, text: str) -> str:
    mark = getattr(error, "problem_mark", None)
    rows = text.split("\n")
    if mark is not None and mark.line < len(rows) and rows[mark.line][mark.column : mark.column + 1] == "\t":
        return "a tab stands where YAML wants spaces"
    if "cannot start any token" in str(getattr(error, "problem", "")):
        return "a word that begins with @, % or ` is written in quotes"
    return f"this is not YAML: {getattr(error, 'problem', None) or getattr(error, 'reason', None) or 'it cannot be read'}"


def _line_of(error: yaml.YAMLError, text: str) -> int | None:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return mark.line + 1
    position = getattr(error, "position", None)
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else None
