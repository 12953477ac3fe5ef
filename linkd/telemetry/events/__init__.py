"""The one list of things that happen in linkd and are worth telling.

A call site states what happened (`telemetry.emit(ValuePublished(...))`) and knows nothing of metrics, spans and log lines: which of them an
event becomes is written in `metrics`, `spans` and `log_lines`. These are not the records of the journal (`model.records`), some of
which have the same name: records are the state, events are told and forgotten.

Units are in the names: `seconds` are durations, `*_at_ns` nanoseconds since the epoch, `size_bytes` payload bytes. No event carries a
payload, SQL text, a token or any other secret. `span` is None where nothing is traced; a span costs nothing then.
A reason with few values that machines count (an error's `code`, the reason of a drop) is `reason`; text for people is `detail`.

One file for each subject; everybody imports from here.
"""

from __future__ import annotations

from typing import get_args

from linkd.telemetry.events.home import *
from linkd.telemetry.events.home import HomeEvent
from linkd.telemetry.events.runs import *
from linkd.telemetry.events.runs import RunEvent
from linkd.telemetry.events.values import *
from linkd.telemetry.events.values import ValueEvent

Event = HomeEvent | RunEvent | ValueEvent

EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
