/** The example's input: the day of orders that the golden results are of, as a few objects of lines, some of them compressed. */
import { gzipSync, zstdCompressSync } from "node:zlib"
import { ObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import * as Orders from "example-orders/Orders"

const forms = [
  { extension: "ndjson", encode: (bytes: Uint8Array) => bytes },
  { extension: "ndjson.gz", encode: (bytes: Uint8Array) => gzipSync(bytes) },
  { extension: "ndjson.zst", encode: (bytes: Uint8Array) => zstdCompressSync(bytes) }
]

/** Writes the orders under `orders/date=2026-03-25/`. */
export const makeOrders = (options: Orders.Options) =>
  Effect.gen(function* () {
    const store = yield* ObjectStore
    let i = 0
    for (const piece of Orders.ndjson(options, 4 << 20)) {
      const { encode, extension } = forms[i % forms.length]!
      const name = String(i++).padStart(4, "0")
      yield* store.put(`orders/date=2026-03-25/orders-${name}.${extension}`, encode(piece))
    }
    return i
  })
