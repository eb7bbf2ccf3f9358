import { assert, describe, it } from "@effect/vitest"
import { Partitioner } from "@headrace/core"

describe("Partitioner", () => {
  it("hashes as Kafka's Java client does", () => {
    const known: ReadonlyArray<readonly [string, number]> = [
      ["21", -973932308],
      ["foobar", -790332482],
      ["a-little-bit-long-string", -985981536],
      ["a-little-bit-longer-string", -1486304829],
      ["lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971],
      ["abc", 479470107]
    ]
    for (const [text, hash] of known) assert.strictEqual(Partitioner.murmur2(new TextEncoder().encode(text)), hash)
    assert.strictEqual(Partitioner.partitionOf(new TextEncoder().encode("21"), 7), (-973932308 & 0x7fffffff) % 7)
  })
})
