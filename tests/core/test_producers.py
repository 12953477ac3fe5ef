"""Numbered publishes: the next one is taken, a repeat is recognised, anything else is refused; the same after a restart."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure_home import TASKS, PureHome, draft
from thoroughness import examples

from linkd.core import publishing
from linkd.core.checkpoint import keep, restored
from linkd.core.ledger import Ledger
from linkd.core.producers import ANONYMOUS, Producers, check_id, check_name, check_same
from linkd.core.publishing import Maker
from linkd.errors import Conflict, Error, InvalidArgument, ProducerFenced, ProducerForgotten, ProducerSetBack
from linkd.limits import PRODUCER_ANSWERS_MAX, PRODUCERS_MAX, PUBLISH_WINDOW_VALUES
from linkd.model.kept import AnswerKept
from linkd.model.records import ProducerOpened
from linkd.model.values import Envelope, Position, Producer
from linkd.wire.checkpoints import decode_piece, encode_piece


@dataclass(slots=True)
class Publishing:
    """Publishes as the home does: what is answered is not stored again."""

    home: PureHome = field(default_factory=PureHome)

    @property
    def producers(self) -> Producers:
        return self.home.ledger.producers

    def open(self, name: str) -> int:
        epoch = self.producers.next_epoch(name)
        self.home.admit([ProducerOpened(name, epoch)])
        return epoch

    def publish(self, producer: Producer, link: str = "numbers", values: int = 1) -> tuple[int, int, bool]:
        """(first sequence, last sequence, whether it was a repeat)."""
        answer = self.producers.answer(producer)
        if answer is not None:
            check_same(producer, answer)
            return answer.first_sequence, answer.last_sequence, True
        if link not in self.home.ledger.links:
            self.home.admit(publishing.open_link(link, 1))
        drafts = [draft(link, n) for n in range(values)]
        records = publishing.publish(self.home.ledger, drafts, Maker(producer=producer), 1, bytes(10 * values))
        self.home.admit(records)
        stored = [record.envelope.position.sequence for record in records if hasattr(record, "envelope")]
        return stored[0], stored[-1], False

    def restart(self) -> None:
        self.home = self.home.restarted()


def numbered(sequence: int, epoch: int = 1, name: str = "~one", xxh3: int = 7) -> Producer:
    return Producer(name, epoch, sequence, xxh3)


def test_a_publish_that_is_repeated_has_the_positions_it_had() -> None:
    home = Publishing()
    assert home.publish(numbered(1), values=3) == (1, 3, False)
    assert home.publish(numbered(2), link="names") == (1, 1, False)
    assert home.publish(numbered(3)) == (4, 4, False)
    assert home.publish(numbered(1)) == (1, 3, True)
    assert home.publish(numbered(2)) == (1, 1, True)
    home.restart()
    assert home.publish(numbered(3)) == (4, 4, True)
    assert home.publish(numbered(4)) == (5, 5, False)


def test_a_gap_names_both_numbers() -> None:
    home = Publishing()
    home.publish(numbered(1))
    with pytest.raises(ProducerSetBack, match="sent its publish 3, and its last one was 1"):
        home.publish(numbered(3))
    with pytest.raises(InvalidArgument, match="both count from 1"):
        home.publish(numbered(0))


def test_the_same_number_with_other_content_is_a_conflict() -> None:
    home = Publishing()
    home.publish(numbered(1, xxh3=7))
    with pytest.raises(Conflict, match="its publish 1 again with other content: under that number numbers@1 was stored"):
        home.publish(numbered(1, xxh3=8))


def test_the_window_holds_as_many_answers_as_a_client_has_publishes_without_one() -> None:
    home = Publishing()
    for sequence in range(1, PUBLISH_WINDOW_VALUES + 2):
        home.publish(numbered(sequence))
    assert home.publish(numbered(2)) == (2, 2, True)
    with pytest.raises(InvalidArgument, match="too old to be recognised: its last one was 257"):
        home.publish(numbered(1))


def test_whoever_opens_a_name_fences_the_one_before_and_goes_on_counting() -> None:
    home = Publishing()
    first = home.open("sensor-7")
    home.publish(numbered(1, first, "sensor-7"))
    second = home.open("sensor-7")
    assert (first, second, home.producers.next_sequence("sensor-7")) == (1, 2, 2)
    with pytest.raises(ProducerFenced, match="opened by another program"):
        home.publish(numbered(2, first, "sensor-7"))
    assert home.publish(numbered(1, second, "sensor-7")) == (1, 1, True)
    assert home.publish(numbered(2, second, "sensor-7")) == (2, 2, False)
    with pytest.raises(InvalidArgument, match="epoch 3 was not begun"):
        home.publish(numbered(3, 3, "sensor-7"))


def test_a_name_is_opened_before_it_publishes() -> None:
    with pytest.raises(ProducerForgotten, match="open it again"):
        Publishing().publish(numbered(1, name="sensor-7"))


def test_one_without_a_name_that_is_not_known_cannot_go_on() -> None:
    with pytest.raises(ProducerForgotten):
        Publishing().publish(numbered(2))


def test_the_anonymous_one_that_was_used_longest_ago_is_forgotten_first() -> None:
    home = Publishing()
    home.open("named")
    for n in range(PRODUCERS_MAX):
        home.publish(numbered(1, name=f"~{n}"))
    assert "~0" not in home.producers.known
    assert home.publish(numbered(1, 1, "named"))[2] is False
    with pytest.raises(ProducerForgotten):
        home.publish(numbered(2, name="~0"))


def test_epochs_of_names_that_were_forgotten_are_not_used_again() -> None:
    producers = Producers()
    for n in range(PRODUCERS_MAX + 1):
        producers.opened(f"name{n}", 5)
    assert "name0" not in producers.known
    assert producers.next_epoch("name0") == 6
    assert producers.next_epoch("name1") == 6


def test_answers_are_bounded_over_all_producers() -> None:
    producers = Producers()
    producers.opened("named", 1)
    for n in range(PRODUCER_ANSWERS_MAX + 2):
        name = "named" if n == 0 else f"~{n // PUBLISH_WINDOW_VALUES}"
        producers.stored(envelope(Producer(name, 1, producers.next_sequence(name), 1), n + 1))
    assert producers.answers == sum(len(known.answers) for known in producers.known.values()) <= PRODUCER_ANSWERS_MAX
    assert (producers.known["named"].last_sequence, len(producers.known["named"].answers)) == (1, 0)
    with pytest.raises(InvalidArgument, match="too old"):
        producers.answer(Producer("named", 1, 1, 1))


@pytest.mark.parametrize("name", ["", "~one", "with space", "a" * 81, "a/b"])
def test_a_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgument, match="cannot be the name of a producer"):
        check_name(name)


def test_ids_that_clients_make_up_are_no_names() -> None:
    check_name("Sensor-7.a_b")
    check_id(ANONYMOUS + "0f3a")
    with pytest.raises(InvalidArgument, match="cannot be the name of a producer"):
        check_name(ANONYMOUS + "0f3a")


def envelope(producer: Producer, sequence: int) -> Envelope:
    return Envelope(bytes(16), "numbers", Position(1, sequence), 1, 1, 1, b"", 1, 1, producer=producer)


# -- against a model ----------------------------------------------------------------------------------------------------------------------


@dataclass
class Model:
    """What was promised, said another way: everything that was ever published, by (producer, sequence)."""

    stored: dict[tuple[str, int], tuple[int, int, int]] = field(default_factory=dict)
    epochs: dict[str, int] = field(default_factory=dict)
    next: int = 1

    def expect(self, producer: Producer, values: int) -> type[Error] | tuple[int, int, bool]:
        last = max((sequence for name, sequence in self.stored if name == producer.id), default=0)
        epoch = self.epochs.get(producer.id)
        if epoch is None:
            if producer.id.startswith("~") and producer.sequence == 1:
                epoch = self.epochs[producer.id] = producer.epoch
            else:
                return ProducerForgotten
        if producer.epoch != epoch:
            return ProducerFenced if producer.epoch < epoch else InvalidArgument
        if producer.sequence > last + 1:
            return ProducerSetBack
        if producer.sequence <= last:
            first, end, xxh3 = self.stored[producer.id, producer.sequence]
            return (first, end, True) if xxh3 == producer.request_xxh3 else Conflict
        first, self.next = self.next, self.next + values
        self.stored[producer.id, producer.sequence] = (first, self.next - 1, producer.request_xxh3)
        return first, self.next - 1, False


steps = st.lists(
    st.one_of(
        st.tuples(
            st.just("publish"),
            st.sampled_from(["~a", "~b", "n", "m"]),
            st.integers(1, 2),
            st.integers(1, 6),
            st.integers(1, 2),
            st.integers(1, 3),
        ),
        st.tuples(st.just("open"), st.sampled_from(["n", "m"])),
        st.tuples(st.sampled_from(["restart", "checkpoint"])),
    ),
    max_size=40,
)


@given(steps)
@settings(max_examples=examples(200))
def test_every_publish_happens_once_whatever_is_repeated_restarted_or_fenced(history: list[tuple[object, ...]]) -> None:
    home, model = Publishing(), Model()
    for step in history:
        if step[0] == "open":
            name = str(step[1])
            model.epochs[name] = model.epochs.get(name, 0) + 1
            assert home.open(name) == model.epochs[name]
        elif step[0] == "restart":
            home.restart()
        elif step[0] == "checkpoint":
            ledger = restored(decode_piece(encode_piece(keep(home.home.restarted().ledger))), TASKS)
            assert ledger.producers == home.producers
        else:
            _, name, epoch, sequence, xxh3, values = step
            producer = Producer(str(name), int(str(epoch)), int(str(sequence)), int(str(xxh3)))
            expected = model.expect(producer, int(str(values)))
            if isinstance(expected, tuple):
                assert home.publish(producer, values=int(str(values))) == expected
            else:
                with pytest.raises(expected):
                    home.publish(producer, values=int(str(values)))
    check_answers(home.home.ledger)


def check_answers(ledger: Ledger) -> None:
    for known in ledger.producers.known.values():
        sequences = [answer.sequence for answer in known.answers]
        assert sequences == list(range(known.last_sequence - len(sequences) + 1, known.last_sequence + 1))
        assert all(isinstance(answer, AnswerKept) for answer in known.answers)
    assert isinstance(ledger.producers.known, OrderedDict)
