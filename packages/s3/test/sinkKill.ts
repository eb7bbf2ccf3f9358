/** What the kill test writes. */
import type { ObjectSink } from "@headrace/s3"
import { type Row, schema } from "./sinkRows.ts"

const rowsOf = (partition: number): ReadonlyArray<Row> =>
  Array.from({ length: 400 }, (_, i) => ({
    region: "eu",
    ts: i * 60_000 - (i % 40 === 39 ? 7_200_000 : 0) + partition + 86_400_000,
    ...(i % 97 === 96 ? { is: "poison" as const } : {})
  }))

export const killRows = [rowsOf(0), rowsOf(1)]

export const killOptions: ObjectSink.Options = {
  name: "orders",
  prefix: "lake",
  schema,
  format: { kind: "ndjson" },
  path: "date={ts:yyyy-MM-dd}/hour={ts:HH}",
  roll: { bytes: 3000, age: "1 hour" },
  late: { column: "ts", after: "30 minutes", age: "10 hours" },
  groupRows: 16
}
