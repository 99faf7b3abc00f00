"""The expression language of filters, such as `in_stock and price < 60 and brand in ("Alto", "Kaya")`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, cast

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from itemlens_server.attributes.filters import (
    LARGEST,
    TIMES,
    All,
    AnyOf,
    Compare,
    Filter,
    Has,
    Literal,
    Name,
    Near,
    Not,
    Now,
    OneOf,
    check_size,
)
from itemlens_server.errors import InvalidArgument

MOST_CHARACTERS = 10_000
# Expressions that are remembered: a page asks with the same ones again, and parsing takes longer than masking.
REMEMBERED, REMEMBERED_CHARACTERS = 1024, 1000
SHOWN = 24
LONGEST_NUMBER = 40

GRAMMAR = r"""
?start: any
?any: all (_OR all)*
?all: not (_AND not)*
?not: _NOT not -> negation
    | condition
?condition: "(" any ")"
    | name -> flag
    | name OP value -> compare
    | value OP name -> turned
    | value OP name OP value -> between
    | name _IN "(" value ("," value)* ","? ")" -> one_of
    | name _NOT _IN "(" value ("," value)* ","? ")" -> none_of
    | _NEAR "(" name "," NUMBER "," NUMBER "," NUMBER ")" -> near
    | _HAS "(" name ")" -> has
name: NAME | QUOTED
value: STRING | NUMBER | TRUE | FALSE | NOW | AGO

_OR.3: /or\b/i
_AND.3: /and\b/i
_NOT.3: /not\b/i
_IN.3: /in\b/i
_NEAR.3: /near(?=\s*\()/i
_HAS.3: /has(?=\s*\()/i
TRUE.3: /true\b/i
FALSE.3: /false\b/i
AGO.4: /now\s*[-+]\s*\d+(\.\d+)?\s*[smhdw]\b/i
NOW.3: /now\b/i
OP: "<=" | ">=" | "!=" | "=" | "<" | ">"
NUMBER: /[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?/
STRING: /"([^"\\]|\\.)*"/ | /'([^'\\]|\\.)*'/
NAME: /[^\W\d]\w*/
QUOTED: /`[^`\n]+`/
%ignore /\s+/
"""

# What the terminals of the grammar are called in messages.
SAID: Mapping[str, str] = {
    "NAME": "an attribute", "QUOTED": "an attribute", "OP": "a comparison", "_IN": "in", "_NOT": "not",
    "STRING": "a text in quotes", "NUMBER": "a number", "TRUE": "true", "FALSE": "false", "NOW": "now",
    "AGO": "now - 30d",
    "_AND": "and", "_OR": "or", "_NEAR": "near(...)", "_HAS": "has(...)", "LPAR": "(", "RPAR": ")", "COMMA": ",",
    "$END": "the end",
}  # fmt: skip
TURNED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!="}


def parse(expression: str) -> Filter:
    """Return the filter of an expression.

    Raises:
        InvalidArgument: it is no filter; the message points at the character.
    """
    if len(expression) > MOST_CHARACTERS:
        raise InvalidArgument(
            f"the filter has {len(expression)} characters, the limit is {MOST_CHARACTERS}", "filter"
        )
    return _remembered(expression) if len(expression) <= REMEMBERED_CHARACTERS else _parsed(expression)


def _parsed(expression: str) -> Filter:
    try:
        # The transformer makes filters of the tree.
        condition = cast(Filter, _parser().parse(expression))
    except UnexpectedInput as error:
        raise _explained(error, expression) from None
    except VisitError as error:
        if isinstance(error.orig_exc, InvalidArgument):
            raise error.orig_exc from None
        raise
    check_size(condition, "filter")
    return condition


_remembered = lru_cache(REMEMBERED)(_parsed)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", lexer="contextual", transformer=_Conditions())


def _explained(error: UnexpectedInput, expression: str) -> InvalidArgument:
    at = error.pos_in_stream
    place = len(expression) if at is None or at < 0 else at
    if isinstance(error, UnexpectedToken):
        expected = error.accepts or error.expected
        if error.token.type == "$END":
            place = len(expression)
    else:
        expected = error.allowed if isinstance(error, UnexpectedCharacters) else set()
    words = sorted({SAID.get(name, name) for name in expected or ()})
    found = repr(expression[place : place + SHOWN]) if place < len(expression) else "its end"
    advice = (
        f"; expected {', '.join(words[:-1])} or {words[-1]}"
        if len(words) > 1
        else f"; expected {''.join(words)}"
    )
    return InvalidArgument(
        f"the filter is wrong at character {place + 1}, at {found}{advice if words else ''}", "filter"
    )


@v_args(inline=True)
class _Conditions(Transformer[Token, Any]):
    """Makes the tree while the expression is read, so that its depth costs no recursion."""

    def name(self, token: Token) -> Name:
        return Name(str(token).strip("`"), token.start_pos)

    def value(self, token: Token) -> Literal:
        text = str(token)
        match token.type:
            case "STRING":
                return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
            case "NUMBER":
                return _number(token)
            case "AGO":
                sign = -1 if "-" in text else 1
                amount, unit = re.findall(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.lower())[0]
                return Now(sign * float(amount) * TIMES[unit])
            case "NOW":
                return Now()
        return token.type == "TRUE"

    def any(self, *parts: Filter) -> Filter:
        return AnyOf(parts)

    def all(self, *parts: Filter) -> Filter:
        return All(parts)

    def negation(self, part: Filter) -> Filter:
        return Not(part)

    def flag(self, name: Name) -> Filter:
        return Compare(name, "=", True)

    def compare(self, name: Name, op: Token, value: Literal) -> Filter:
        return Compare(name, str(op), value)

    def turned(self, value: Literal, op: Token, name: Name) -> Filter:
        return Compare(name, TURNED[str(op)], value)

    def between(self, low: Literal, op: Token, name: Name, other: Token, high: Literal) -> Filter:
        return All((Compare(name, TURNED[str(op)], low), Compare(name, str(other), high)))

    def one_of(self, name: Name, *values: Literal) -> Filter:
        return OneOf(name, values)

    def none_of(self, name: Name, *values: Literal) -> Filter:
        return Not(OneOf(name, values))

    def near(self, name: Name, lat: Token, lon: Token, km: Token) -> Filter:
        degrees, other, distance = (float(_number(token)) for token in (lat, lon, km))
        return Near(name, degrees, other, distance)

    def has(self, name: Name) -> Filter:
        return Has(name)


def _number(token: Token) -> float | int:
    text = str(token)
    is_whole = not any(c in text for c in ".eE")
    # Longer texts are not read as whole numbers: that takes long.
    number = int(text) if is_whole and len(text) <= LONGEST_NUMBER else float(text)
    if not math.isfinite(number) or (is_whole and abs(number) > LARGEST):
        raise InvalidArgument(
            f"at character {(token.start_pos or 0) + 1}: the number is too large; whole numbers have 64 bits",
            "filter",
        )
    return number
