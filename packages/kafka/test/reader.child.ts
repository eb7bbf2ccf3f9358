/**
 * Reads a topic again and again until it has seen so many bytes of keys and values, and prints what it saw and its largest resident set.
 * `reader.child.ts BROKERS DRIVER TOPIC BYTES`. Every other time the reader is slower than the source at first, so that what is read ahead fills up.
 */
import * as KafkaSource from "@headrace/kafka/KafkaSource"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { existsSync, readFileSync } from "node:fs"

const [brokers = "", driver = "", topic = "", wanted = ""] = process.argv.slice(2)
// Only what is used is loaded: it is measured too.
const { layer } = await (driver === "kafkajs"
  ? import("@headrace/kafka/drivers/KafkaJs")
  : import("@headrace/kafka/drivers/Platformatic"))
const status = "/proc/self/status"

/** In bytes. Of a process that was replaced by `exec` Linux counts the former's too in `maxRSS`. */
const peak = (): number =>
  existsSync(status)
    ? 1024 * Number(/VmHWM:\s+(\d+)/.exec(readFileSync(status, "utf8"))![1])
    : 1024 * process.resourceUsage().maxRSS

let [records, bytes, rounds, largest] = [0, 0, 0, 0]
const read = Effect.suspend(() => {
  let batches = 0
  const slow = rounds++ % 2 === 0
  return Stream.runForEach(
    KafkaSource.stream({ topic, until: "now", totalBytes: 64 << 20 }),
    ({ bytes: own, count, keys, values }) => {
      records += count
      for (let i = 0; i < 2 * count; i += 2) bytes += keys[i + 1]! - keys[i]! + values[i + 1]! - values[i]!
      largest = Math.max(largest, own.byteLength)
      return slow && batches++ < 20 ? Effect.sleep(25) : Effect.void
    }
  )
})
const program = Effect.gen(function* () {
  while (bytes < Number(wanted)) yield* read
})

await Effect.runPromise(program.pipe(Effect.provide(layer({ brokers: brokers.split(",") }))))
console.log(JSON.stringify({ records, bytes, rounds, largest, peak: peak() }))
