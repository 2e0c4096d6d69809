"""XML with line numbers, of which it is known afterwards what nobody has looked at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from vdenet.i18n import _

DEPTH = 32


@dataclass
class Element:
    """An element. What is asked for by these methods counts as looked at."""

    tag: str
    attributes: dict[str, str]
    line: int
    children: list[Element] = field(default_factory=list)
    content: str = ""
    _seen: set[str] = field(default_factory=set)
    _opened: bool = False

    def get(self, name: str) -> str | None:
        """An attribute."""
        self._seen.add(name)
        return self.attributes.get(name)

    def text(self) -> str:
        """What stands in it, without blanks around."""
        self._opened = True
        self._seen.add("")
        return self.content.strip()

    def all(self, tag: str) -> Iterator[Element]:
        """The elements of that name in it."""
        self._opened = True
        for child in self.children:
            if child.tag == tag:
                child._opened = True
                yield child

    def first(self, tag: str) -> Element | None:
        """The first of them; the others are not looked at."""
        self._opened = True
        for child in self.children:
            if child.tag == tag:
                child._opened = True
                return child
        return None

    def take(self) -> None:
        """All of it counts as looked at."""
        self._opened = True
        self._seen |= {"", *self.attributes}
        for child in self.children:
            child.take()

    def unseen(self) -> Iterator[tuple[Element, str | None]]:
        """The elements that nobody looked at, and attributes of others, in the order of the file."""
        if not self._opened:
            yield self, None
            return
        for name in self.attributes:
            if name not in self._seen:
                yield self, name
        if self.content.strip() and "" not in self._seen:
            yield self, None
            return
        for child in self.children:
            yield from child.unseen()

    def __str__(self) -> str:
        """Its start tag."""
        return "<" + " ".join((self.tag, *(f"{name}='{value}'" for name, value in self.attributes.items()))) + ">"


class Malformed(Exception):
    """No XML, or none that is read here; `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        super().__init__(why)
        self.line = line


def parse(text: str) -> Element:
    """The root element. Raises `Malformed`, also for a document type, whose entities could be anything."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", {}, 1)
    stack = [top]

    def start(tag: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEPTH:
            raise Malformed(parser.CurrentLineNumber, _("it is nested too deeply"))
        element = Element(tag, attributes, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def end(_tag: str) -> None:
        stack.pop()

    def data(text: str) -> None:
        stack[-1].content += text

    def doctype(*_rest: object) -> None:
        raise Malformed(parser.CurrentLineNumber, _("a document type, which libvirt does not write"))

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = data
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(text.encode(), True)
    except expat.ExpatError as error:
        raise Malformed(error.lineno, expat.ErrorString(error.code)) from None
    except (LookupError, ValueError) as error:  # an encoding that there is not
        raise Malformed(1, str(error)) from None
    return top.children[0]
