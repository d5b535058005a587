"""Lines that are wrong in many ways, the same ones in every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

_SPICES = [
    b"NaN", b"-Infinity", b"1e999", b"9" * 30, b"1.5", b"-1", b"true", b"null",
    b'"', b"\\", b'"\\ud800"', b'"\\u0000"', b"\x00", b"\xff", b"\xed\xa0\x80",
    b"[" * 40, b"]" * 40, b"{", b"}", b":", b",", b'"id":7,', b'{"a":1,"a":2}',
    b" ", b"\t", b"[[[]]]", b"\xe2\x82\xac", b'"x":"x",', b"/*", b"'",
]  # fmt: skip


def lines_like(
    samples: Sequence[bytes], *, count: int, seed: int = 7
) -> Iterator[bytes]:
    """Make ``count`` lines, most of them samples that were tampered with."""
    random = Random(seed)
    for _ in range(count):
        line = bytearray(random.choice(samples))
        for _ in range(random.choice([0, 1, 1, 2, 5])):
            at = random.randrange(len(line) + 1)
            match random.randrange(5):
                case 0:
                    del line[at:]
                case 1:
                    line[at:at] = random.choice(_SPICES)
                case 2:
                    line[at : at + random.randrange(9)] = random.choice(_SPICES)
                case 3:
                    line[at : at + 1] = random.randbytes(random.randrange(4))
                case 4:
                    start = random.randrange(len(line) + 1)
                    line[at:at] = line[start : start + 20]
        yield bytes(line).replace(b"\n", b"")
