/**
 * A writer that the kill tests start: two partitions of rows into folders by hour, in batches, from where the sink is. It kills itself with
 * SIGKILL at the given point, when it comes there for the given time. Arguments: a folder or
 * `s3://bucket` (reached by `S3_…`), point, times.
 */
import { FolderObjectStore, ObjectSink } from "@headrace/s3"
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { SinkPoint } from "@headrace/s3/SinkPoint"
import { Effect, Layer, Stream } from "effect"
import { killOptions, killRows } from "./sinkKill.ts"
import { batchOf } from "./sinkRows.ts"

const [place, point, times] = process.argv.slice(2)
let left = Number(times)

const source = (start: ObjectSink.ObjectSink["start"]) =>
  Stream.fromIterable(
    killRows.flatMap((rows, partition) => {
      const first = start.get(partition)?.next ?? 0
      const inputs: Array<ObjectSink.Input> = []
      for (let at = first; at < rows.length; at += 50)
        inputs.push({ batch: batchOf(partition, at, rows.slice(at, at + 50)), resume: { row: at + 50 } })
      return inputs
    })
  )

const bucket = /^s3:\/\/(.+)$/.exec(place!)?.[1]
const store =
  bucket === undefined
    ? FolderObjectStore.layer({ path: place! })
    : Layer.unwrap(Effect.map(S3ObjectStore.accessConfig, (access) => S3ObjectStore.layer({ ...access, bucket })))

const program = ObjectSink.run(killOptions, source).pipe(
  Effect.provideService(SinkPoint, (at) =>
    Effect.sync(() => {
      if (at === point && --left === 0) process.kill(process.pid, "SIGKILL")
    })
  ),
  Effect.provide(store)
)
await Effect.runPromise(program)
