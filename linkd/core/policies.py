"""Input policies: what may stand behind a wire's name in the wiring, and what of it has a meaning in this version.

What each of them gives a task is said at the head of `core.composition`.

flown             bare: the default of the task's kind
flown whole       every value of the generation, once, at its seal
flown latest      the newest value, read but never a trigger (`implicit` is the old name)
flown swap        the newest of each input, fired by a change of any
flown merge       all inputs as one ordered stream
flown align       values of all inputs with the same time
flown[N]          N values at a time
flown[A-B]        at least A, at most B values
flown[N/S]        a window of N values that moves by S
flown[N rows]     N rows at a time
flown[10s]        a window of event time; units ms, s, m, h, d
flown[1h/5m]      a window of event time that moves by 5 minutes
"""

from __future__ import annotations

import enum
import re

from linkd.core.diagnostics import did_you_mean
from linkd.limits import WINDOW_ROWS_MAX, WINDOW_VALUES_MAX
from linkd.model.frozen import frozen


class WirePolicyKind(enum.StrEnum):
    """The forms of the grammar."""

    BARE = "bare"
    WHOLE = "whole"
    LATEST = "latest"
    SWAP = "swap"
    MERGE = "merge"
    ALIGN = "align"
    COUNT = "count"
    RANGE = "range"
    SLIDE = "slide"
    ROWS = "rows"
    TIME = "time"
    TIME_SLIDE = "time_slide"


class PolicyFamily(enum.Enum):
    """Policies whose inputs one task may have side by side; `LATEST` goes with each of the others, and none goes with a third."""

    WHOLE = "whole"
    BATCH = "batch"
    SWAP = "swap"
    LATEST = "latest"


FAMILIES = {
    WirePolicyKind.WHOLE: PolicyFamily.WHOLE,
    WirePolicyKind.BARE: PolicyFamily.BATCH,
    WirePolicyKind.COUNT: PolicyFamily.BATCH,
    WirePolicyKind.RANGE: PolicyFamily.BATCH,
    WirePolicyKind.SLIDE: PolicyFamily.BATCH,
    WirePolicyKind.ROWS: PolicyFamily.BATCH,
    WirePolicyKind.SWAP: PolicyFamily.SWAP,
    WirePolicyKind.LATEST: PolicyFamily.LATEST,
}
"""What has a meaning in this version; everything else is refused by name."""

POLICY_WORDS = {
    "whole": WirePolicyKind.WHOLE,
    "latest": WirePolicyKind.LATEST,
    "implicit": WirePolicyKind.LATEST,
    "swap": WirePolicyKind.SWAP,
    "merge": WirePolicyKind.MERGE,
    "align": WirePolicyKind.ALIGN,
}

_DURATIONS_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUMBER = r"([0-9]{1,15})"
_DURATION = r"([0-9]{1,9})\s*(ms|s|m|h|d)"
_COUNT = re.compile(_NUMBER)
_RANGE = re.compile(rf"{_NUMBER}\s*-\s*{_NUMBER}")
_SLIDE = re.compile(rf"{_NUMBER}\s*/\s*{_NUMBER}")
_ROWS = re.compile(rf"{_NUMBER}\s+rows?")
_TIME = re.compile(_DURATION)
_TIME_SLIDE = re.compile(rf"{_DURATION}\s*/\s*{_DURATION}")

_WINDOW_FORMS = "windows are `[N]`, `[A-B]` and `[N/S]` (values), `[N rows]`, and `[10s]` and `[1h/5m]` (time; ms, s, m, h, d)"


@frozen()
class WirePolicy:
    """A policy as parsed. `first` and `second` are N; A and B; N and S; rows; or window and slide in milliseconds. 0 where not used."""

    kind: WirePolicyKind = WirePolicyKind.BARE
    first: int = 0
    second: int = 0


BARE = WirePolicy()


@frozen()
class PolicyError:
    """Why a text is no policy, and what to do."""

    what: str
    remedy: str


def parse_policy_word(word: str) -> WirePolicy | PolicyError:
    """The policy that `word` names."""
    kind = POLICY_WORDS.get(word)
    if kind is None:
        slip = policy_slip(word)
        words = "policies are `whole`, `latest`, `swap`, `merge`, `align`, and windows such as `[10]`"
        return PolicyError(f"`{word}` is not a policy" + (f"; did you mean `{slip}`?" if slip else ""), words)
    return WirePolicy(kind)


def policy_slip(word: str) -> str | None:
    """The policy that `word` misspells; strict, for a link's name behind a forgotten comma is as likely."""
    return did_you_mean(word, POLICY_WORDS, likeness=0.8)


def parse_window(text: str) -> WirePolicy | PolicyError:
    """The window that `text`, the inside of the brackets, describes."""
    body = text.strip()
    if match := _TIME_SLIDE.fullmatch(body):
        length_ms, slide_ms = _milliseconds(match[1], match[2]), _milliseconds(match[3], match[4])
        return _sliding(WirePolicyKind.TIME_SLIDE, length_ms, slide_ms, body)
    if match := _TIME.fullmatch(body):
        return _positive(WirePolicyKind.TIME, _milliseconds(match[1], match[2]), body)
    if match := _ROWS.fullmatch(body):
        return _positive(WirePolicyKind.ROWS, int(match[1]), body)
    if match := _SLIDE.fullmatch(body):
        return _sliding(WirePolicyKind.SLIDE, int(match[1]), int(match[2]), body)
    if match := _RANGE.fullmatch(body):
        low, high = int(match[1]), int(match[2])
        if low > high:
            return PolicyError(f"`[{body}]` has its bounds the wrong way round", f"write `[{high}-{low}]`")
        if high == 0:
            return _nothing(body)
        return WirePolicy(WirePolicyKind.RANGE, low, high)
    if match := _COUNT.fullmatch(body):
        return _positive(WirePolicyKind.COUNT, int(match[1]), body)
    return PolicyError(f"`[{body}]` is not a window", _WINDOW_FORMS)


def render_policy(policy: WirePolicy) -> str:
    """The text that parses to `policy`, as it stands behind the wire's name: with its space if it is a word."""
    match policy.kind:
        case WirePolicyKind.BARE:
            return ""
        case WirePolicyKind.COUNT:
            return f"[{policy.first}]"
        case WirePolicyKind.RANGE:
            return f"[{policy.first}-{policy.second}]"
        case WirePolicyKind.SLIDE:
            return f"[{policy.first}/{policy.second}]"
        case WirePolicyKind.ROWS:
            return f"[{policy.first} rows]"
        case WirePolicyKind.TIME:
            return f"[{_duration(policy.first)}]"
        case WirePolicyKind.TIME_SLIDE:
            return f"[{_duration(policy.first)}/{_duration(policy.second)}]"
    return f" {policy.kind}"


EACH_TEXT = "each"
WHOLE_TEXT = "whole"
LATEST_TEXT = "latest"


def render_input_policy(policy: WirePolicy) -> str:
    """The canonical text of an input's policy, as `TaskShape`, `TaskInput` of the protocol and `linkd ls` have it: `each`, `[10/5]`."""
    return EACH_TEXT if policy.kind is WirePolicyKind.BARE else render_policy(policy).strip()


def parse_input_policy(text: str) -> WirePolicy:
    """The policy of which `text` is the canonical form. Raises ValueError for any other text."""
    if text == EACH_TEXT:
        return BARE
    parsed = parse_window(text[1:-1]) if text.startswith("[") and text.endswith("]") else parse_policy_word(text)
    if isinstance(parsed, PolicyError):
        raise ValueError(f"{text!r} is no input policy")
    return parsed


def refusal(policy: WirePolicy, written: str) -> PolicyError | None:
    """Why this version cannot take `policy`, which is valid and was `written` so; None if it can."""
    if policy.kind not in FAMILIES:
        return PolicyError(
            f"the policy `{written}` comes with a later version of linkd",
            "now there are: each value in turn (nothing behind the name), `whole`, `latest`, `swap`, and windows: `[N]`, `[A-B]`, `[N/S]`, "
            "`[N rows]`",
        )
    bound, things = (WINDOW_ROWS_MAX, "rows") if policy.kind is WirePolicyKind.ROWS else (WINDOW_VALUES_MAX, "values")
    size = max(policy.first, policy.second)
    if size > bound:
        return PolicyError(
            f"a window of {size:,} {things}; a window holds at most {bound:,}", f"write at most {bound}, or take the input `whole`"
        )
    return None


def _positive(kind: WirePolicyKind, number: int, body: str) -> WirePolicy | PolicyError:
    return WirePolicy(kind, number) if number > 0 else _nothing(body)


def _sliding(kind: WirePolicyKind, size: int, slide: int, body: str) -> WirePolicy | PolicyError:
    if size == 0 or slide == 0:
        return _nothing(body)
    if slide > size:
        return PolicyError(f"`[{body}]` would pass values by: it moves further than the window is long", "move by at most its length")
    return WirePolicy(kind, size, slide)


def _nothing(body: str) -> PolicyError:
    return PolicyError(f"`[{body}]` would never hold anything", "write at least 1")


def _milliseconds(number: str, unit: str) -> int:
    return int(number) * _DURATIONS_MS[unit]


def _duration(milliseconds: int) -> str:
    """The shortest way to write a duration."""
    for unit, size_ms in reversed(_DURATIONS_MS.items()):
        if milliseconds % size_ms == 0:
            return f"{milliseconds // size_ms}{unit}"
    raise AssertionError("every number of milliseconds is a multiple of 1 ms")
