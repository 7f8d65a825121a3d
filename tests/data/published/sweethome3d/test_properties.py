"""Java properties, against the rules of `java.util.Properties` and a writer of our own."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robust3d.data.published.sweethome3d.properties import parse_properties
from robust3d.errors import UserError


def parse(text):
    return parse_properties(text if isinstance(text, bytes) else text.encode("latin-1"), "a.properties")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Truth = Beauty\n Truth2:Beauty\nTruth3                    :Beauty",
            {"Truth": "Beauty", "Truth2": "Beauty", "Truth3": "Beauty"},
        ),
        (
            "fruits                           apple, banana, pear, \\\n   cantaloupe, watermelon, \\\n\tkiwi, mango",
            {"fruits": "apple, banana, pear, cantaloupe, watermelon, kiwi, mango"},
        ),
        ("cheeses", {"cheeses": ""}),
        ("# a=1\n! b=2\n  # c=3\n\nd=4", {"d": "4"}),
        ("a=1\\\n# not a comment", {"a": "1# not a comment"}),
        ("a=1\\\\\nb=2", {"a": "1\\", "b": "2"}),
        ("a=1\\", {"a": "1"}),
        ("a\\=b\\:c\\ d=e=f:g h ", {"a=b:c d": "e=f:g h "}),
        ("a\\tb=\\n\\r\\f\\q\\\\", {"a\tb": "\n\r\fq\\"}),
        ("a=1\rb=2\r\nc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=1\na=2", {"a": "2"}),
        ("name#12=Caf\\u00e9 \\u20AC", {"name#12": "Café €"}),
        ("a=\\uD83D\\uDE00", {"a": "\U0001f600"}),
        ("=v", {"": "v"}),
        ("a\x85=1\x1c2", {"a\x85": "1\x1c2"}),  # no ends of lines
    ],
)
def test_rules(text, found):
    assert parse(text) == found


def test_encodings():
    """Latin-1 as ever, UTF-8 as Java has read resource bundles since version 9."""
    assert parse("a=Zoé ©".encode("latin-1")) == parse("a=Zoé ©".encode()) == {"a": "Zoé ©"}
    assert parse("\ufeffa=1".encode()) == {"a": "1"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a=1\nb=\\u12g4", "a.properties: line 2"),
        ("a=\\u12", "four hexadecimal digits"),
        ("a=\\ud83d!", "half a letter"),
        ("a=1".encode("utf-16"), "zero bytes"),
        (b"a=1\0", "zero bytes"),
    ],
)
def test_refused(text, says):
    with pytest.raises(UserError, match=says):
        parse(text)


def escaped(text, is_key):
    """As `java.util.Properties.store` writes it."""
    letters = []
    for place, letter in enumerate(text):
        if letter in "\t\n\r\f":
            letters.append("\\" + {"\t": "t", "\n": "n", "\r": "r", "\f": "f"}[letter])
        elif letter in "=:#!\\" or (letter == " " and (is_key or place == 0)):
            letters.append("\\" + letter)
        elif " " <= letter <= "~":
            letters.append(letter)
        else:
            units = letter.encode("utf-16-be")
            letters += [f"\\u{units[i]:02x}{units[i + 1]:02X}" for i in range(0, len(units), 2)]
    return "".join(letters)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(values=st.dictionaries(TEXTS, TEXTS, max_size=5))
def test_what_java_writes_is_read_back(values):
    lines = [f"{escaped(key, True)}={escaped(value, False)}\n" for key, value in values.items()]
    assert parse("#comment\n" + "".join(lines)) == values


@given(content=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content):
    try:
        found = parse(content)
    except UserError as error:
        assert str(error).startswith("a.properties")
    else:
        assert all(isinstance(text, str) for pair in found.items() for text in pair)
