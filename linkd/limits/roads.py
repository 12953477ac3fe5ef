"""How messages travel: gRPC, the lane, Arrow Flight, HTTP, and the connections below them."""

from __future__ import annotations

from linkd.limits.units import KIB, MIB
from linkd.limits.values import ENVELOPE_MAX_BYTES, INLINE_PAYLOAD_MAX_BYTES, SCHEMA_MAX_BYTES, VALUE_SIZE_MAX_BYTES

# -- gRPC ----------------------------------------------------------------------------------------------------------------------------------
STREAM_FRAME_MAX_BYTES = 1 * MIB
"""Payload bytes of one message of a gRPC stream: gRPC clients of other languages stop at 4 MiB, and 256 KiB to 1 MiB is fastest."""
HEADER_PAYLOAD_MAX_BYTES = 256 * KIB
"""Payload bytes that a client sends within the header of a value: protobuf copies them several times, and beyond this a message more is cheaper."""
GRPC_MESSAGE_MAX_BYTES = 4 * MIB
"""Largest gRPC message accepted: the default of every gRPC implementation, stated so that nobody depends on more."""
READ_AHEAD_BYTES = 4 * MIB
READ_AHEAD_MAX_BYTES = 64 * MIB
"""Of a value that is sent in pieces: read at once, for a way into a thread and back costs as much as reading a piece; and by all streams together,
beyond which each reads a piece at a time: thousands of slow readers hold one each."""
HASHED_ON_LOOP_MAX_BYTES = 1 * MIB
"""Hashed where it came in, in some 50 us: a thread would take longer to begin. More is hashed in one, so that others get their turn."""
STREAMS_PER_CONNECTION_MAX = 256
"""Calls at once over one connection; further ones wait. A program has a handful."""

# -- the lane ------------------------------------------------------------------------------------------------------------------------------
LANE_QUEUED_MAX_BYTES = 4 * MIB
"""Requests of one call over the lane that wait for its handler: about one frame of the largest; then the socket is not read."""
LANE_WRITE_BUFFER_BYTES = 256 * KIB
"""Responses of one call that the socket did not take yet: then the handler waits. A stream to a slow client costs so much at most, and a frame."""
LANE_SEND_BUFFER_BYTES = 4 * MIB
"""Asked of the kernel for what a client sends, which gives as much as it may: a value of a publisher goes out in one call then."""
LANE_READ_BYTES = 16 * KIB
"""Kept by each connection of the lane for small frames: dozens are read at once, and a thousand idle streams cost 16 MiB. Larger frames get
memory of their own."""
LANE_AHEAD_BYTES = 64 * MIB
"""By place, that a client was told of and its program has not come to: a reader that is slow holds a file or two, no more, back from being used
again; one that is not never waits."""
LANE_TAKEN_TOLD_BYTES = 8 * MIB
"""A client tells so often what it has taken: every second or third value of some MiB."""
LANE_RELEASES_TOLD_S = 0.02
"""Behind a value that came by place, until linkd is told what was let go of meanwhile: the time of half a file on the fastest road. Each of many
readers that tells it wakes the home."""
LANE_DESCRIPTORS_AT_ONCE = 64
"""Descriptors taken with one read of a socket: the kernel passes at most 253 in one message, and linkd sends one with each."""
LAID_AFTER_BYTES = 16 * MIB
"""Of bulk that a publish stream sends as bytes: beyond that it gets files of its own, which a few values do not need: they are four times that."""
PLACED_AT_ONCE_BYTES = 1 * MIB
"""A client writes a payload of so many bytes where it stays, whatever it has sent before; smaller ones when there have been `LAID_AFTER_BYTES`."""
LANE_HEAD_BYTES = 2 * KIB
"""Room that a client leaves before a value it places itself, beside that for its own metadata: an envelope with a dozen parents and attributes.
A value whose envelope needs more is copied."""
LANE_SESSION_BYTES = 16
"""The name of a client's session, which it makes up: nobody guesses 128 bits."""
LANE_IDLE_CONNECTIONS_MAX = 4
"""Connections of the lane that a client keeps for its next calls: more are never in use at once but by streams."""
LANE_CONNECTIONS_MAX = 4_096
"""Open connections of the lane: one for each stream of each client; a process has a million descriptors, and a home a few KiB for each."""
LANE_BACKLOG = 256
"""Connections not accepted yet: all the tasks of a pipeline may begin at once, and each opens a few."""
LANE_ACCEPT_RETRY_S = 1.0
"""After a connection could not be accepted, for want of descriptors: who is in line waits; calls in hand end in less."""

# -- Arrow Flight --------------------------------------------------------------------------------------------------------------------------
GRPC_RECEIVE_MAX_BYTES = VALUE_SIZE_MAX_BYTES + 4 * MIB
"""Largest message that the server takes: a record batch comes in one piece over Flight, and is a value; beside it metadata and a descriptor."""
FLIGHT_FIELDS_MAX = 64
"""Fields of one FlightData, of which four are known: megabytes of small ones would be seconds of the event loop."""
FLIGHT_ASKED_MAX_BYTES = 4 * KIB
"""A ticket or command that asks for a link: its name and three numbers."""
FLIGHT_PUTS_MAX = 64
"""Uploads at once: of each gRPC holds one batch that linkd has not seen yet, of up to `GRPC_RECEIVE_MAX_BYTES`."""
FLIGHT_DICTIONARIES_MAX_BYTES = 2 * MIB
"""Of one upload, in memory for as long as it goes on: dictionaries are some thousand texts, and all uploads together take 128 MiB for them."""
FLIGHT_ACKS_KEPT = 1_024
"""Acks that a client of an upload has not read: some 200 KiB. Many clients read none before their last batch, and must not wait for themselves."""
FLIGHT_REFUSED_WAIT_S = 5.0
"""For a client to take the acks before it is told why its upload ends; one that reads none of thousands finds its call broken off."""
FLIGHT_SENDING_MAX_BYTES = 128 * MIB
"""Batches of more than `STREAM_FRAME_MAX_BYTES` on their way to Flight's readers, which are sent whole: two of the largest values."""
SOUND_VALUES_KEPT = 16_384
"""Values that are known to be sound Arrow, by their ids: some 2 MiB; looking at one again costs a tenth of reading it."""
FLIGHT_TAKE_TIMEOUT_S = 60.0
"""A reader takes a large batch within this if others wait for the room it has: it is told to read smaller ones."""

# -- HTTP ----------------------------------------------------------------------------------------------------------------------------------
HTTP_LINE_MAX_BYTES = 4 * KIB
HTTP_HEADER_MAX_BYTES = 8 * KIB
HTTP_HEADERS_MAX = 64
"""A request of a probe, a scraper or a browser has less than half of each."""
HTTP_BACKLOG = 64
"""Connections not accepted yet: probes and scrapers are a handful."""
HTTP_KEEPALIVE_S = 75.0
"""Longer than the scrape intervals in use (15 to 60 s), so that a scraper keeps its connection."""
HTTP_LINGER_S = 0.1
"""For a client that sends a body nobody wants to read its refusal; then the connection is closed under it."""
HTTP_DRAIN_TIMEOUT_S = 1.0
"""A probe or a scrape takes milliseconds."""

# -- connections ---------------------------------------------------------------------------------------------------------------------------
CONNECT_TIMEOUT_S = 30.0
"""A client waits so long for a home that starts again; it recovers in seconds."""
RECONNECT_BACKOFF_FIRST_S = 0.05
RECONNECT_BACKOFF_MAX_S = 1.0
"""A client tries again after anything up to a bound that doubles between the two: at once for a restart, gently for an outage, and a thousand
clients of one home spread out."""
CONNECT_ATTEMPT_TIMEOUT_S = 5.0
"""One attempt to connect: a home that is up answers in milliseconds, on a machine that starts everything at once in seconds."""
KEEPALIVE_S = 360.0
"""Between pings of an idle TCP connection: above the five minutes that gRPC servers demand by default, below what most firewalls forget."""
CLIENT_CLOSE_TIMEOUT_S = 5.0
"""What closing a client waits for its background tasks: cancelling a call takes milliseconds."""
INTERRUPT_NOTICE_S = 0.5
"""Within this a waiting synchronous call notices an interrupt that fell into the instant before its wait."""
ITERATED_AHEAD_VALUES = 8
ITERATED_AHEAD_BYTES = 16 * MIB
"""Received while a synchronous reader works on the value before them: beyond either it is let take half of them first. To change threads for each
value costs as much as reading a small one."""
SOCKET_PATH_MAX_BYTES = 100
"""Bytes of a unix socket's path: macOS takes 104 with the final zero, Linux 108."""

assert INLINE_PAYLOAD_MAX_BYTES < HEADER_PAYLOAD_MAX_BYTES < STREAM_FRAME_MAX_BYTES < GRPC_MESSAGE_MAX_BYTES
assert LANE_READ_BYTES < INLINE_PAYLOAD_MAX_BYTES
assert VALUE_SIZE_MAX_BYTES + SCHEMA_MAX_BYTES + FLIGHT_ASKED_MAX_BYTES < GRPC_RECEIVE_MAX_BYTES
assert STREAM_FRAME_MAX_BYTES + ENVELOPE_MAX_BYTES + SCHEMA_MAX_BYTES <= GRPC_MESSAGE_MAX_BYTES
assert RECONNECT_BACKOFF_FIRST_S <= RECONNECT_BACKOFF_MAX_S <= CONNECT_TIMEOUT_S
