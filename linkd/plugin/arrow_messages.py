"""Arrow IPC as adapters meet it: what a file claims to hold, before Arrow believes it."""

from __future__ import annotations

from linkd.wire.arrow_file import FILE_MAGIC, StoredMessage, stored_messages, stream_extent

__all__ = ["FILE_MAGIC", "StoredMessage", "stored_messages", "stream_extent"]
