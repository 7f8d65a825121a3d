"""Reads YAML strictly: values that YAML would misread are refused, with their key.

YAML 1.1 reads 03001627 as an octal number, 1:30 as 90 and 2020-01-01 as a date, and uses the last of two equal keys.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml

from robust3d.errors import UserError

_MOST_VALUES = 100_000  # in one configuration, with aliases expanded
_PLAIN = "tag:yaml.org,2002:"
_OCTAL = re.compile(r"[-+]?0[0-7_]+")


@dataclass(frozen=True)
class _Misread:
    """Text that YAML would misread."""

    text: str
    what: str


class _Loader(yaml.SafeLoader):
    """Returns a `_Misread` for text that YAML would misread."""

    def compose_mapping_node(self, anchor: dict[Any, yaml.Node]) -> yaml.MappingNode:
        """Check a mapping as written, before merge keys are applied: its keys are text and unique."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key.value!r} occurs twice", key.start_mark
                )
            seen.add(key.value)
            if key.tag not in (f"{_PLAIN}str", f"{_PLAIN}merge"):
                key.tag = "!no-word"
        return node

    def _number(self, node: yaml.ScalarNode) -> Any:
        text = str(self.construct_scalar(node))
        if ":" in text:
            return _Misread(text, "minutes and seconds")
        if _OCTAL.fullmatch(text):
            return _Misread(text, "an octal number (where a number is meant, leave out the 0 before it)")
        try:
            return self.construct_yaml_int(node) if node.tag.endswith("int") else self.construct_yaml_float(node)
        except ValueError:  # thousands of digits, or a tag that does not fit
            return _Misread(text[:60], "a number, but one that cannot be represented")

    def _date(self, node: yaml.ScalarNode) -> _Misread:
        return _Misread(str(self.construct_scalar(node))[:60], "a date")

    def _bytes(self, node: yaml.ScalarNode) -> _Misread:
        return _Misread(str(self.construct_scalar(node))[:60], "bytes")

    def _no_word(self, node: yaml.ScalarNode) -> _Misread:
        return _Misread(str(self.construct_scalar(node))[:60], "no word")


_Loader.add_constructor(f"{_PLAIN}int", _Loader._number)
_Loader.add_constructor(f"{_PLAIN}float", _Loader._number)
_Loader.add_constructor(f"{_PLAIN}timestamp", _Loader._date)
_Loader.add_constructor(f"{_PLAIN}binary", _Loader._bytes)
_Loader.add_constructor("!no-word", _Loader._no_word)


def parse_yaml(text: str, name: str) -> dict[str, Any]:
    """The values of one configuration.

    Args:
        text: of it.
        name: of its file, for messages.

    Raises:
        UserError: names every key whose value is not text, number, list or mapping, or would be misread.
    """
    try:
        values = yaml.load(text, _Loader)
    except RecursionError:
        raise UserError(f"{name}: not readable as YAML: nested too deeply") from None
    except Exception as error:  # YAML's own, or any other for tags that do not fit their value
        raise UserError(f"{name}: not readable as YAML: {error}") from None
    if not isinstance(values, dict):
        raise UserError(f"{name}: a configuration is a mapping of keys to values")
    check_plain(values, name)
    return values


def check_plain(values: dict[Any, Any], name: str) -> None:
    """Refuse values that JSON cannot represent, and aliases that expand to too many values.

    Raises:
        UserError: names every such key.
    """
    wrong: list[str] = []
    left: list[tuple[str, Any]] = [("", values)]
    for _ in range(_MOST_VALUES):
        if not left:
            break
        key, value = left.pop()
        if isinstance(value, dict):
            words = {word: inner for word, inner in value.items() if isinstance(word, str)}
            wrong += [
                f"{key or 'top level'}: put the key {_text(word)} in quotes" for word in value if word not in words
            ]
            left += [(f"{key}.{word}" if key else word, inner) for word, inner in reversed(words.items())]
        elif isinstance(value, list):
            left += [(f"{key}.{number}", inner) for number, inner in reversed(list(enumerate(value)))]
        elif not isinstance(value, str | int | float | None):
            what = value.what if isinstance(value, _Misread) else f"a {type(value).__name__}"
            wrong.append(f"{key}: put it in quotes; YAML reads {_text(value)} as {what}")
    else:
        raise UserError(
            f"{name}: more than {_MOST_VALUES:,} values (or an alias inside itself) under {left[-1][0][:80]}"
        )
    if wrong:
        raise UserError(
            f"{name}: YAML does not read these values as they are written:\n" + "\n".join(f"  {line}" for line in wrong)
        )


def _text(value: object) -> str:
    return value.text if isinstance(value, _Misread) else repr(value)
