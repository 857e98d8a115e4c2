"""Random expressions of the probe language."""

import random

_ARITHMETIC = ("+", "-", "*", "&", "|", "^")
_COMPARISON = ("==", "!=", "<", "<=", ">", ">=")
_INTERESTING = (0, 1, 7, 255, 256, 4095, 4096, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, 1 << 62)


def number(rng: random.Random) -> str:
    value = rng.choice((*_INTERESTING, rng.getrandbits(6), rng.getrandbits(48)))
    return hex(value) if rng.random() < 0.3 else str(value)


def value(rng: random.Random, depth: int, addresses: tuple[str, ...] = ()) -> str:
    """Never a bare number, so that no comparison is between numbers only.

    `addresses` are expressions that can be read from.
    """
    if depth <= 0 or rng.random() < 0.1:
        return f"{rng.choice('xxw')}{rng.randrange(8)}"
    makers = [_binary, _binary, _binary, _shift, _cast, _unary, _truth, _choice]
    if addresses:
        makers += [_load, _load]
    return rng.choice(makers)(rng, depth - 1, addresses)


def _binary(rng: random.Random, depth: int, addresses: tuple[str, ...]) -> str:
    other = number(rng) if rng.random() < 0.3 else value(rng, depth, addresses)
    left, right = rng.sample((value(rng, depth, addresses), other), 2)
    return f"({left} {rng.choice(_ARITHMETIC)} {right})"


def _shift(rng: random.Random, depth: int, addresses: tuple[str, ...]) -> str:
    distance = str(rng.randrange(64)) if rng.random() < 0.6 else value(rng, 0)
    return f"({value(rng, depth, addresses)} {rng.choice(('<<', '>>'))} {distance})"


def _cast(rng: random.Random, depth: int, addresses: tuple[str, ...]) -> str:
    return f"{rng.choice('us')}{rng.choice((8, 16, 32, 64))}({value(rng, depth, addresses)})"


def _unary(rng: random.Random, depth: int, addresses: tuple[str, ...]) -> str:
    return f"({rng.choice('-~+')}{value(rng, depth, addresses)})"


def _truth(rng: random.Random, depth: int, addresses: tuple[str, ...]) -> str:
    return f"({predicate(rng, depth, addresses)})"


def _choice(rng: random.Random, depth: int, addresses: tuple[str, ...]) -> str:
    yes, no = (value(rng, depth, addresses) for _ in range(2))
    return f"({yes} if {predicate(rng, depth, addresses)} else {no})"


def _load(rng: random.Random, _depth: int, addresses: tuple[str, ...]) -> str:
    kind = f"{rng.choice('us')}{rng.choice((8, 16, 32, 64))}"
    return f"{kind}[{rng.choice(addresses)} + {rng.choice((0, 8, 12, 40))}]"


def predicate(rng: random.Random, depth: int, addresses: tuple[str, ...] = ()) -> str:
    if depth <= 0:
        return f"{value(rng, 0)} {rng.choice(_COMPARISON)} {value(rng, 0)}"
    kind = rng.randrange(6)
    if kind < 2:
        left, right = (value(rng, depth - 1, addresses) for _ in range(2))
        return f"{left} {rng.choice(_COMPARISON)} {right}"
    if kind == 2:
        return f"(not {predicate(rng, depth - 1, addresses)})"
    if kind == 3:
        # A number that every signed and every unsigned value can have.
        return f"{value(rng, depth - 1, addresses)} {rng.choice(_COMPARISON)} {number(rng)}"
    left, right = (predicate(rng, depth - 1, addresses) for _ in range(2))
    return f"({left} {rng.choice(('and', 'or'))} {right})"
