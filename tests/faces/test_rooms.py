"""Memory that pipes are read into: whoever refers to what was made of it has it for himself, and behind him it is used again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from linkd.faces.files.rooms import Rooms

SIZE_BYTES = 4096


def filled(rooms: Rooms, letter: bytes) -> pa.Buffer:
    room = rooms.take()
    room.memory[:] = letter * SIZE_BYTES
    return room.buffer(SIZE_BYTES)


def test_what_is_referred_to_stays_as_it_was() -> None:
    rooms = Rooms(SIZE_BYTES)
    first = filled(rooms, b"a")
    array = pa.Array.from_buffers(pa.uint8(), SIZE_BYTES, [None, first])[1:]
    del first
    second = filled(rooms, b"b")
    assert array.to_pylist() == [ord("a")] * (SIZE_BYTES - 1)
    assert second.to_pybytes() == b"b" * SIZE_BYTES


def test_memory_is_used_again_when_nothing_refers_to_it_wherever_that_ends() -> None:
    rooms = Rooms(SIZE_BYTES)
    held = [filled(rooms, b"a")]
    address = held[0].address
    with ThreadPoolExecutor(1) as pool:
        pool.submit(held.clear).result()
    assert filled(rooms, b"b").address == address


def test_a_buffer_is_the_beginning_of_its_room() -> None:
    room = Rooms(SIZE_BYTES).take()
    room.memory[:3] = b"abc"
    assert room.buffer(3).to_pybytes() == b"abc"
