"""Secrets taken out of what people and files get to see: each becomes `***`, also where a stream is cut in the middle of one.

What is looked for: each value, of a value of several lines each line, and both as they stand in a URL (percent-encoded, or decoded).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote

from linkd.limits import MASKED_LINE_MIN_CHARS

MASKED = "***"
_MASKED_BYTES = MASKED.encode()


class Mask:
    """Knows the secrets of a pipeline. Without any it gives back what it gets."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form.encode() for secret in secrets for form in _forms(secret)}
        self.forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._pattern = re.compile(b"|".join(re.escape(form) for form in self.forms)) if self.forms else None

    def __bool__(self) -> bool:
        return bool(self.forms)

    def __repr__(self) -> str:
        return f"Mask({len(self.forms)} secrets)"

    def text(self, text: str) -> str:
        """`text` without the secrets; at each place the longest one is taken out."""
        if self._pattern is None:
            return text
        return self.raw(text.encode("utf-8", "surrogatepass")).decode("utf-8", "surrogatepass")

    def raw(self, content: bytes) -> bytes:
        return content if self._pattern is None else self._pattern.sub(_MASKED_BYTES, content)

    def search(self, content: bytes, start: int) -> re.Match[bytes] | None:
        """The first secret at or behind `start`."""
        return None if self._pattern is None else self._pattern.search(content, start)


class MaskedStream:
    """Bytes that come in pieces. What may be the beginning of a secret waits for the piece behind it; no more than that does."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._waiting = b""

    def feed(self, piece: bytes) -> bytes:
        """What can be shown now. All pieces and the `end` together are what `Mask.raw` makes of the whole."""
        if not self._mask:
            return piece
        content = self._waiting + piece
        shown: list[bytes] = []
        position = 0
        while True:
            open_at = self._open_at(content, position)
            found = self._mask.search(content, position)
            if found is None or found.start() >= open_at:
                shown.append(content[position:open_at])
                self._waiting = content[open_at:]
                return b"".join(shown)
            shown += [content[position : found.start()], _MASKED_BYTES]
            position = found.end()

    def end(self) -> bytes:
        """What still waits, at the end of the stream."""
        rest, self._waiting = self._waiting, b""
        return self._mask.raw(rest)

    def _open_at(self, content: bytes, start: int) -> int:
        """Where a secret may begin that goes on behind the end of `content`; its length if nowhere."""
        longest = len(self._mask.forms[0])
        for position in range(max(start, len(content) - longest + 1), len(content)):
            tail = content[position:]
            if any(len(form) > len(tail) and form.startswith(tail) for form in self._mask.forms):
                return position
        return len(content)


def _forms(secret: str) -> Iterable[str]:
    lines = secret.splitlines()
    parts = [secret] if len(lines) < 2 else [line for line in lines if len(line.strip()) >= MASKED_LINE_MIN_CHARS]
    for part in parts:
        plain = part.strip("\r\n") if len(lines) < 2 else part.strip()
        yield from {plain, quote(plain, safe=""), unquote(plain)} - {""}
