// What the test has the client do: node scenario.js ENDPOINT PROTO_DIRECTORY. Prints one JSON object of what was seen; the test judges it.
//
// The link `readings` exists already, with the columns id int64, at timestamp[ns, UTC], name string, score float64.

import { createHash } from 'node:crypto';

import { Client, rowsOf, rowsPayload } from './client.js';

const LARGE_BYTES = 10 * 1000 * 1000;

const READINGS = [
  [
    { id: '9007199254740993', at: '2026-01-02T03:04:05.123456789Z', name: 'Žluťoučký kůň 🐎', score: 0.1 },
    { id: '-9223372036854775808', at: '1969-12-31T23:59:59.999999999Z', name: '', score: null },
  ],
  [{ id: 3, name: null, score: 'NaN' }],
];

async function publishAndReadRows(client) {
  const acks = await client.publish('readings', 'ROWS', READINGS.map(rowsPayload));
  const { opened, values } = await client.read('readings', 'ROWS');
  return { acks, opened: { sealed: opened.sealed, last_sequence: opened.last_sequence }, rows: values.flatMap((value) => rowsOf(value.payload)) };
}

async function publishAndReadBytes(client) {
  const payload = Buffer.alloc(LARGE_BYTES);
  for (let at = 0; at < LARGE_BYTES; at += 4) payload.writeUInt32LE((at * 2654435761) >>> 0, at);
  await client.publish('documents', 'BYTES', [payload, Buffer.from([0, 255, 10, 13])]);
  const { values } = await client.read('documents', 'BYTES');
  return { sent: digest(payload), received: values.map((value) => digest(value.payload)), sizes: values.map((value) => value.payload.length) };
}

async function subscribeWithCredit(client) {
  const ticks = Array.from({ length: 20 }, (_, number) => rowsPayload([{ number, pad: 'x'.repeat(1000) }]));
  await client.publish('ticks', 'ROWS', ticks);
  await client.seal('ticks');
  const seen = [];
  await client.subscribe('ticks', 'node', 'ROWS', 1, (value) => {
    const [{ number }] = rowsOf(value.payload);
    seen.push({ number, sequence: value.envelope.position.sequence, attempt: value.attempt });
    return number === 5 && value.attempt === 1 ? 'nack' : 'ack';
  });
  const again = [];
  await client.subscribe('ticks', 'node', 'ROWS', 1, (value) => again.push(value) && 'ack');
  return { seen, again: again.length };
}

async function refusals(client) {
  return {
    unknown_link: await refusal(() => client.read('nobody', 'ROWS')),
    unknown_column: await refusal(() => client.publish('readings', 'ROWS', [rowsPayload([{ id: 1, nmae: 'x' }])])),
    unnamed_group: await refusal(() => client.subscribe('ticks', '', 'ROWS', 1, () => 'ack')),
  };
}

async function refusal(attempt) {
  try {
    await attempt();
  } catch (error) {
    return { status: error.code, linkd_error: error.metadata.get('linkd-error'), message: error.details };
  }
  return null;
}

function summary({ open, links, groups }) {
  return {
    open,
    links: links.map(({ name, current }) => ({ name, state: current.state, values: current.values, rows: current.rows })),
    groups: groups.map(({ group, link, done_sequence, lag_values }) => ({ group, link, done_sequence, lag_values })),
  };
}

function digest(payload) {
  return createHash('sha256').update(payload).digest('hex');
}

async function main([endpoint, protoDirectory]) {
  const client = new Client(endpoint, protoDirectory);
  const report = {
    rows: await publishAndReadRows(client),
    bytes: await publishAndReadBytes(client),
    subscription: await subscribeWithCredit(client),
    refusals: await refusals(client),
    described: summary(await client.describe()),
  };
  client.close();
  const plain = (_key, value) => (typeof value === 'bigint' ? { bigint: value.toString() } : value);
  process.stdout.write(`${JSON.stringify(report, plain)}\n`);
}

await main(process.argv.slice(2));
