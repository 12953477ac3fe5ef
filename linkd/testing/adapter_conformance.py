"""What every adapter must do, as tests that an adapter's own test suite inherits.

    class TestNatsSource(SourceConformance):
        @pytest.fixture
        def subject(self, ...) -> SourceSubject: ...

The subject says what the source holds; the suite says what the contract (`linkd.plugin.contract`) makes of it. Needs pytest with
pytest-asyncio in auto mode. An adapter that passes can be driven by the worker: surveyed, read, interrupted anywhere, read on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace

import pyarrow as pa
import pytest

from linkd.errors import Conflict, DataFault, InvalidArgument, SourceChanged
from linkd.plugin.contract import (
    NO_RECORD,
    Adapter,
    LinkOptions,
    Role,
    Sink,
    SinkResult,
    SinkValue,
    Source,
    SourceBatch,
    SourceStat,
    Survey,
    ValueSink,
)
from linkd.plugin.rejects import REJECTS_SCHEMA


@dataclass(frozen=True)
class SourceSubject:
    """A source under test.

    `expected` is what it holds, in order, more than one batch of it and none of it rejected; `change` makes its stored bytes another
    file of the same columns; `missing` are options of the same kind whose place does not exist. With `has_snapshots` what was surveyed can
    be read whatever has become of it since; without `is_beside_us` it takes more than a look at options to tell that a place is missing.
    """

    adapter: Adapter
    options: LinkOptions
    expected: pa.Table
    change: Callable[[], None]
    missing: LinkOptions
    has_snapshots: bool = False
    is_beside_us: bool = True


async def read_all(source: Source, survey: Survey, position: bytes | None = None) -> list[SourceBatch]:
    """Every batch behind `position`, the reader closed."""
    async with aclosing(source.read(survey, position)) as batches:
        return [batch async for batch in batches]


class SourceConformance:
    """Inherit, and give the fixture `subject`."""

    @pytest.fixture
    async def source(self, subject: SourceSubject) -> AsyncIterator[Source]:
        source = subject.adapter.source(subject.options)
        yield source
        await source.close()

    async def test_nothing_is_wrong_with_its_options(self, subject: SourceSubject) -> None:
        assert subject.adapter.check(subject.options, Role.SOURCE) == []

    async def test_two_surveys_agree(self, source: Source) -> None:
        first, second = await source.survey(), await source.survey()
        assert first == second
        assert len(bytes.fromhex(first.digest)) == 32
        assert first.schema.metadata is None

    async def test_stat_and_digest_are_those_of_a_survey(self, source: Source) -> None:
        survey = await source.survey()
        assert await source.stat() == survey.stat
        assert await source.digest() == survey.digest

    async def test_a_change_shows_in_stat_and_digest(self, source: Source, subject: SourceSubject) -> None:
        stat, digest = await source.stat(), await source.digest()
        subject.change()
        assert await source.digest() != digest
        assert stat == SourceStat() or await source.stat() != stat

    async def test_it_reads_what_it_holds_under_the_surveyed_schema(self, source: Source, subject: SourceSubject) -> None:
        survey = await source.survey()
        batches = await read_all(source, survey)
        assert all(batch.data.schema.equals(survey.schema, check_metadata=True) for batch in batches)
        assert pa.Table.from_batches([batch.data for batch in batches]).equals(subject.expected)
        assert survey.rows in (None, subject.expected.num_rows)

    async def test_only_the_last_batch_is_final(self, source: Source) -> None:
        batches = await read_all(source, await source.survey())
        assert len(batches) > 1, "the subject must hold more than one batch, or interruption is not tested"
        assert [batch.final for batch in batches] == [False] * (len(batches) - 1) + [True]

    async def test_rows_read_are_rows_published_and_rejected(self, source: Source) -> None:
        published = rejected = 0
        for batch in await read_all(source, await source.survey()):
            published += batch.data.num_rows
            if batch.rejects is not None:
                assert batch.rejects.schema.equals(REJECTS_SCHEMA)
                rejected += batch.rejects.num_rows
            assert (batch.rows_read, batch.rows_rejected) == (published + rejected, rejected)

    async def test_reading_on_behind_any_batch_gives_the_same_batches(self, source: Source) -> None:
        survey = await source.survey()
        batches = await read_all(source, survey)
        for index, batch in enumerate(batches[:-1]):
            rest = await read_all(source, await source.survey(), batch.position)
            assert [summary(one) for one in rest] == [summary(one) for one in batches[index + 1 :]]

    async def test_reading_twice_gives_the_same(self, source: Source) -> None:
        survey = await source.survey()
        first, second = await read_all(source, survey), await read_all(source, survey)
        assert [summary(batch) for batch in first] == [summary(batch) for batch in second]

    async def test_a_reader_may_be_closed_at_any_time(self, source: Source) -> None:
        survey = await source.survey()
        async with aclosing(source.read(survey, None)) as batches:
            await anext(batches)
        assert len(await read_all(source, survey)) > 1

    async def test_another_content_is_not_read_as_the_surveyed_one(self, source: Source, subject: SourceSubject) -> None:
        survey = await source.survey()
        subject.change()
        if subject.has_snapshots:
            surveyed = await read_all(source, survey)
            assert pa.Table.from_batches([batch.data for batch in surveyed]).equals(subject.expected)
        with pytest.raises(SourceChanged):
            await read_all(source, survey)

    async def test_a_position_means_nothing_in_another_content(self, source: Source, subject: SourceSubject) -> None:
        position = (await read_all(source, await source.survey()))[0].position
        subject.change()
        with pytest.raises(SourceChanged):
            await read_all(source, await source.survey(), position)

    async def test_a_place_that_is_missing_is_named(self, subject: SourceSubject) -> None:
        if subject.is_beside_us:
            assert any(subject.missing.location in problem for problem in subject.adapter.check(subject.missing, Role.SOURCE))
        missing = subject.adapter.source(subject.missing)
        for look in (missing.survey, missing.stat, missing.digest):
            with pytest.raises(InvalidArgument) as raised:
                await look()
            assert subject.missing.location in str(raised.value)


def summary(batch: SourceBatch) -> tuple[object, ...]:
    """All that must be equal in equal batches, in a form that compares and prints."""
    rejects = None if batch.rejects is None else batch.rejects.to_pylist()
    return (batch.data.to_pydict(), rejects, batch.rows_read, batch.rows_rejected, batch.final, dict(batch.attributes))


@dataclass(frozen=True)
class SinkSubject:
    """A sink under test. `batches` are what it is given; `read_back` is what others see in its place, or `None` if they see nothing."""

    adapter: Adapter
    options: LinkOptions
    batches: tuple[pa.RecordBatch, ...]
    read_back: Callable[[], pa.Table | None]


class SinkConformance:
    """Inherit, and give the fixture `subject`."""

    @pytest.fixture
    def sink(self, subject: SinkSubject) -> Sink:
        return subject.adapter.sink(subject.options)

    async def test_nothing_is_wrong_with_its_options(self, subject: SinkSubject) -> None:
        assert subject.adapter.check(subject.options, Role.SINK) == []

    async def test_what_is_written_is_there_when_it_finished(self, sink: Sink, subject: SinkSubject) -> None:
        result = await written(sink, subject)
        expected = pa.Table.from_batches(subject.batches)
        found = subject.read_back()
        assert found is not None
        assert found.equals(expected)
        assert result.rows == expected.num_rows
        assert result.size_bytes > 0
        assert len(bytes.fromhex(result.digest)) == 32

    async def test_nobody_sees_anything_before_it_finished(self, sink: Sink, subject: SinkSubject) -> None:
        await sink.begin(subject.batches[0].schema)
        await sink.write(subject.batches[0])
        assert subject.read_back() is None
        await sink.abort()

    async def test_aborting_keeps_what_was_there(self, sink: Sink, subject: SinkSubject) -> None:
        await written(sink, subject)
        before = subject.read_back()
        await sink.begin(subject.batches[0].schema)
        await sink.write(subject.batches[0])
        await sink.abort()
        after = subject.read_back()
        assert before is not None
        assert after is not None
        assert after.equals(before)

    async def test_finishing_again_replaces(self, sink: Sink, subject: SinkSubject) -> None:
        last = (await written(sink, subject)).record
        await sink.committed()
        await sink.check(last)
        await written(sink, subject, last)
        await sink.committed()
        found = subject.read_back()
        assert found is not None
        assert found.num_rows == sum(batch.num_rows for batch in subject.batches)

    async def test_equal_rows_make_equal_bytes(self, sink: Sink, subject: SinkSubject) -> None:
        assert (await written(sink, subject)).digest == (await written(sink, subject)).digest

    async def test_no_rows_still_have_columns(self, sink: Sink, subject: SinkSubject) -> None:
        schema = subject.batches[0].schema
        await sink.begin(schema)
        assert (await sink.finish()).rows == 0
        found = subject.read_back()
        assert found is not None
        assert found.schema.names == schema.names
        assert found.num_rows == 0

    async def test_rows_of_other_columns_are_refused(self, sink: Sink, subject: SinkSubject) -> None:
        await sink.begin(subject.batches[0].schema)
        with pytest.raises(DataFault):
            await sink.write(pa.RecordBatch.from_pydict({"another_column": [1]}))
        await sink.abort()

    async def test_aborting_what_never_began_does_nothing(self, sink: Sink, subject: SinkSubject) -> None:
        await sink.abort()
        assert subject.read_back() is None


@dataclass(frozen=True)
class ValueSinkSubject:
    """A value sink under test, its options with a `mode`. `batches` are the values it is given; `read_back` is what others see in its place,
    in any order, or `None` if they see nothing. `damage` does to it what nobody but the sink may."""

    adapter: Adapter
    options: LinkOptions
    batches: tuple[pa.RecordBatch, ...]
    read_back: Callable[[], pa.Table | None]
    damage: Callable[[], None]


class ValueSinkConformance:
    """Inherit, and give the fixture `subject`. A sink is made anew wherever a worker may have been killed."""

    async def test_nothing_is_wrong_with_its_options(self, subject: ValueSinkSubject) -> None:
        assert subject.adapter.check(subject.options, Role.SINK) == []

    async def test_every_value_is_there_when_it_was_written(self, subject: ValueSinkSubject) -> None:
        last: Mapping[str, str] = NO_RECORD
        for count, _ in enumerate(subject.batches, 1):
            made = await _value_sink(subject).write(_value(subject, count), last)
            last = made.record
            assert made.rows == subject.batches[count - 1].num_rows
            assert _sorted(subject.read_back()) == _sorted(pa.Table.from_batches(subject.batches[:count]))

    async def test_a_value_that_was_not_committed_is_there_once_when_it_was_written_again(self, subject: ValueSinkSubject) -> None:
        last: Mapping[str, str] = NO_RECORD
        for count, _ in enumerate(subject.batches, 1):
            await _value_sink(subject).write(_value(subject, count), last)
            await _value_sink(subject).check(last)
            last = (await _value_sink(subject).write(_value(subject, count), last)).record
        assert _sorted(subject.read_back()) == _sorted(pa.Table.from_batches(subject.batches))

    async def test_it_goes_on_behind_its_end(self, subject: ValueSinkSubject) -> None:
        sink = _value_sink(subject)
        last = (await sink.write(_value(subject, 1), NO_RECORD)).record
        await sink.caught_up(1)
        await sink.close()
        await _value_sink(subject).check(last)
        await _value_sink(subject).write(_value(subject, 2), last)
        assert _sorted(subject.read_back()) == _sorted(pa.Table.from_batches(subject.batches[:2]))

    async def test_what_somebody_else_did_to_it_stops_it(self, subject: ValueSinkSubject) -> None:
        last = (await _value_sink(subject).write(_value(subject, 1), NO_RECORD)).record
        subject.damage()
        with pytest.raises(Conflict, match="changed by somebody else"):
            await _value_sink(subject).check(last)
        with pytest.raises(Conflict, match="changed by somebody else"):
            await _value_sink(subject).write(_value(subject, 2), last)
        await subject.adapter.value_sink(replace(subject.options, overwrite=True)).check(last)


def _value_sink(subject: ValueSinkSubject) -> ValueSink:
    return subject.adapter.value_sink(subject.options)


def _value(subject: ValueSinkSubject, number: int) -> SinkValue:
    return SinkValue(1, number, subject.batches[number - 1])


def _sorted(table: pa.Table | None) -> list[dict[str, object]] | None:
    return None if table is None else sorted(table.to_pylist(), key=str)


async def written(sink: Sink, subject: SinkSubject, last: Mapping[str, str] = NO_RECORD) -> SinkResult:
    """Give the subject's batches to the sink, from begin to finish; `last` is the record of its last commit."""
    await sink.begin(subject.batches[0].schema)
    for batch in subject.batches:
        await sink.write(batch)
    return await sink.finish(last)
