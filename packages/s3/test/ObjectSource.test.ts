import { zstdCompressSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { MemoryObjectStore } from "@headrace/s3"
import { ZstdFrames } from "../src/internal/source/ZstdFrames.ts"
import { folderStore } from "./folderStore.ts"
import { logSuite } from "./logSuite.ts"
import { sourceSuite } from "./sourceSuite.ts"

for (const [name, layer] of [
  ["memory", MemoryObjectStore.layer],
  ["a folder", folderStore]
] as const) {
  sourceSuite(name, layer)
  logSuite(name, layer)
}

describe("ZstdFrames", () => {
  const noise = Uint8Array.from({ length: 300_000 }, (_, i) => Math.imul(i, 2654435761) >>> 24)
  const skippable = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3)
  const frames = [
    zstdCompressSync(new Uint8Array(0)),
    zstdCompressSync(Buffer.from("a line\n")),
    skippable,
    zstdCompressSync(noise),
    zstdCompressSync(Buffer.alloc(500_000, "same "), { params: { 201: 1 } }),
    zstdCompressSync(noise.subarray(0, 70_000), { pledgedSrcSize: 70_000 })
  ]
  const file = Buffer.concat(frames)

  it("finds where frames end, however the bytes come", () => {
    const ends = frames.map((_, i) => Buffer.concat(frames.slice(0, i + 1)).length)
    for (const size of [1, 2, 3, 7, 1000, 65_536, file.length]) {
      const walker = new ZstdFrames()
      const found: Array<number> = []
      let at = 0
      for (let i = 0; i < file.length; i += size)
        for (const { bytes, last } of walker.push(file.subarray(i, i + size))) {
          at += bytes.length
          if (last) found.push(at)
        }
      assert.deepStrictEqual(found, ends, `in pieces of ${size}`)
      assert.isTrue(walker.atEnd)
    }
  })

  it("tells a file that is cut short", () => {
    const short = Buffer.concat(frames.slice(0, 3))
    const ends = [0, frames[0]!.length, frames[0]!.length + frames[1]!.length, short.length]
    for (let length = 0; length <= short.length; length++) {
      const walker = new ZstdFrames()
      walker.push(short.subarray(0, length))
      assert.strictEqual(walker.atEnd, ends.includes(length), `${length} bytes`)
    }
    assert.throws(() => new ZstdFrames().push(Buffer.concat([frames[1]!, Buffer.from("garbage")])), RangeError)
  })
})
