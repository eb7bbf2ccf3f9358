/**
 * The bytes of a stored batch, little-endian:
 *
 * | bytes | what |
 * | --- | --- |
 * | 4 | format (1) in the low byte, flags above it: 1 = has headers |
 * | 4 | records `n` |
 * | 8 n | timestamps, float64 milliseconds |
 * | 8 n | keys: start and end in the data, int32 each; a start of -1 is null |
 * | 8 n | values, likewise |
 * | 4 | length of the headers' JSON, then that (base64 values) |
 * | rest | the data |
 *
 * The first arrays stand on multiples of 8, so that they are read in place.
 */
import type { Header, ProducerBatch } from "@headrace/core/Batch"

const format = 1

const toJson = (headers: ReadonlyArray<ReadonlyArray<Header>>): string =>
  JSON.stringify(
    headers.map((h) => h.map(({ key, value }) => [key, value === null ? null : Buffer.from(value).toString("base64")]))
  )

const fromJson = (text: string): ReadonlyArray<ReadonlyArray<Header>> =>
  (JSON.parse(text) as ReadonlyArray<ReadonlyArray<readonly [string, string | null]>>).map((h) =>
    h.map(([key, value]) => ({ key, value: value === null ? null : new Uint8Array(Buffer.from(value, "base64")) }))
  )

/** Encodes records `[from, to)` of a batch. */
export const encode = (batch: ProducerBatch, from: number, to: number): Uint8Array => {
  const n = to - from
  let first = batch.bytes.length
  let last = 0
  for (const ranges of [batch.keys, batch.values]) {
    for (let i = 2 * from; i < 2 * to; i += 2) {
      if (ranges[i]! < 0) continue
      if (ranges[i]! < first) first = ranges[i]!
      if (ranges[i + 1]! > last) last = ranges[i + 1]!
    }
  }
  if (last < first) first = last = 0
  const headers =
    batch.headers === undefined ? new Uint8Array(0) : new TextEncoder().encode(toJson(batch.headers.slice(from, to)))
  const out = new Uint8Array(8 + 24 * n + 4 + headers.length + (last - first))
  const view = new DataView(out.buffer)
  view.setUint32(0, format | (batch.headers === undefined ? 0 : 256), true)
  view.setUint32(4, n, true)
  new Float64Array(out.buffer, 8, n).set(batch.timestamps.subarray(from, to))
  for (const [k, ranges] of [batch.keys, batch.values].entries()) {
    const own = new Int32Array(out.buffer, 8 + 8 * n * (k + 1), 2 * n)
    for (let i = 0; i < 2 * n; i++) {
      const at = ranges[2 * from + i]!
      own[i] = at < 0 ? -1 : at - first
    }
  }
  view.setUint32(8 + 24 * n, headers.length, true)
  out.set(headers, 12 + 24 * n)
  out.set(batch.bytes.subarray(first, last), 12 + 24 * n + headers.length)
  return out
}

/** Reads a stored batch in place. Throws a `RangeError` when its bytes can't be one. */
export const decode = (stored: Uint8Array): ProducerBatch => {
  const own = stored.byteOffset % 8 === 0 ? stored : stored.slice()
  const view = new DataView(own.buffer, own.byteOffset, own.byteLength)
  const head = view.getUint32(0, true)
  if ((head & 255) !== format)
    throw new RangeError(`a stored batch has format ${head & 255}, this version reads ${format}`)
  const n = view.getUint32(4, true)
  const headerBytes = view.getUint32(8 + 24 * n, true)
  const dataStart = 12 + 24 * n + headerBytes
  return {
    count: n,
    timestamps: new Float64Array(own.buffer, own.byteOffset + 8, n),
    keys: new Int32Array(own.buffer, own.byteOffset + 8 + 8 * n, 2 * n),
    values: new Int32Array(own.buffer, own.byteOffset + 8 + 16 * n, 2 * n),
    bytes: own.subarray(dataStart),
    headers: (head & 256) === 0 ? undefined : fromJson(new TextDecoder().decode(own.subarray(12 + 24 * n, dataStart)))
  }
}
