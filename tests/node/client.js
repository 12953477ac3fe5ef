// A client of linkd.v1, made at run time from proto/linkd/v1/*.proto: no generated code, no Arrow, nothing of linkd's own.
//
// 64-bit numbers of messages are decimal strings, enums are their names, bytes are Buffers. A failed call throws gRPC's ServiceError, whose
// `metadata` carries `linkd-error`. Callers use one method at a time or many; every stream is a call of its own.

import { once } from 'node:events';

import grpc from '@grpc/grpc-js';
import loader from '@grpc/proto-loader';

const CHUNK_BYTES = 256 * 1024; // of a payload in one message: well below the 1 MiB that the protocol allows
const LOADED = { keepCase: true, longs: String, enums: String, bytes: Buffer, defaults: true, oneofs: true };

export class Client {
  // `endpoint` is gRPC's: `unix:/path` or `host:port`. `protoDirectory` holds linkd/v1/*.proto.
  constructor(endpoint, protoDirectory) {
    const definition = loader.loadSync('linkd/v1/links.proto', { ...LOADED, includeDirs: [protoDirectory] });
    const { linkd } = grpc.loadPackageDefinition(definition);
    this.stub = new linkd.v1.Links(endpoint, grpc.credentials.createInsecure());
  }

  close() {
    this.stub.close();
  }

  describe(link = '') {
    return this.#unary('Describe', { link });
  }

  seal(link) {
    return this.#unary('Seal', { link });
  }

  // Publishes payloads (Buffers), each a value; resolves to the responses when all are acked.
  async publish(link, format, payloads) {
    const call = this.stub.Publish();
    const [responses] = await Promise.all([collect(call), sendPayloads(call, link, format, payloads)]);
    return responses;
  }

  // Everything that is durable now: {opened, values}, each value with its `payload`.
  async read(link, format) {
    let opened;
    const values = [];
    for await (const part of assembled(this.stub.Read({ link, format }))) {
      if (part.message === 'opened') opened = part.opened;
      else values.push(part.value);
    }
    return { opened, values };
  }

  // Hands each value to `settle(value)` until the end of the link's generation: 'ack' keeps it done, 'nack' has it delivered again.
  // `creditBytes` is what may be under way at a time; it is given back as values are settled.
  async subscribe(link, group, format, creditBytes, settle) {
    const call = this.stub.Subscribe();
    await write(call, { open: { link, group, format, credit_bytes: creditBytes } });
    for await (const part of assembled(call)) {
      if (part.message === 'end') {
        call.end();
      } else if (part.message === 'value') {
        const { envelope, token, payload_bytes } = part.value;
        const answer = { position: envelope.position, token };
        await write(call, { [settle(part.value)]: answer });
        await write(call, { credit_bytes: payload_bytes });
      }
    }
  }

  #unary(method, request) {
    return new Promise((resolve, reject) => {
      this.stub[method](request, (error, response) => (error ? reject(error) : resolve(response)));
    });
  }
}

// Rows as the payload of Format ROWS.
export function rowsPayload(rows) {
  return Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
}

// The rows of such a payload. Integers that a JavaScript number would round are BigInt.
export function rowsOf(payload) {
  const lines = payload.toString('utf8').split('\n').filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line.replace(TOKENS, markLargeInteger), reviveLargeInteger));
}

const TOKENS = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g; // strings too, so that digits inside them are left alone
const MARK = '\u0000integer:'; // JSON.parse gives no other way to see a number's digits; no text of people begins with NUL

function markLargeInteger(token) {
  const isLarge = /^-?\d+$/.test(token) && !Number.isSafeInteger(Number(token));
  return isLarge ? JSON.stringify(MARK + token) : token;
}

function reviveLargeInteger(_key, value) {
  return typeof value === 'string' && value.startsWith(MARK) ? BigInt(value.slice(MARK.length)) : value;
}

async function sendPayloads(call, link, format, payloads) {
  for (const payload of payloads) {
    const data = payload.subarray(0, CHUNK_BYTES);
    await write(call, { value: { link, format, payload_bytes: payload.length, data } });
    for (let at = CHUNK_BYTES; at < payload.length; at += CHUNK_BYTES) {
      await write(call, { chunk: payload.subarray(at, at + CHUNK_BYTES) });
    }
  }
  call.end();
}

async function write(call, message) {
  if (!call.write(message)) await once(call, 'drain');
}

async function collect(call) {
  const messages = [];
  for await (const message of call) messages.push(message);
  return messages;
}

// The messages of a stream from linkd, with each value whole: its chunks are joined to `payload`.
async function* assembled(call) {
  let value;
  let parts = [];
  let missing = 0;
  for await (const message of call) {
    if (message.message === 'value') {
      value = message.value;
      parts = [value.data];
      missing = Number(value.payload_bytes) - value.data.length;
    } else if (message.message === 'chunk') {
      parts.push(message.chunk);
      missing -= message.chunk.length;
    } else {
      yield message;
      continue;
    }
    if (missing < 0) throw new Error(`${value.envelope.link}: ${-missing} bytes more than the value announced`);
    if (missing === 0) yield { message: 'value', value: { ...value, payload: Buffer.concat(parts) } };
  }
  if (missing > 0) throw new Error(`${value.envelope.link}: the stream ended ${missing} bytes before the value did`);
}
