import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { assert, it } from "@effect/vitest"
import { OneLog } from "@headrace/archive"
import { StateHash } from "@headrace/core"
import { ViewStore } from "@headrace/core/ViewStore"
import { SqliteViewStore } from "@headrace/embedded"
import { Live } from "@headrace/kappa"
import { FolderObjectStore, ObjectLog, ObjectStore } from "@headrace/s3"
import { Effect, Layer } from "effect"
import { csv, goldens } from "../src/GoldenViews.ts"
import { answerA } from "../src/Oracle.ts"
import * as Orders from "../src/Orders.ts"

it.live("a view is built from a folder of objects, goes on with new ones, and equals one built in one go", () =>
  Effect.gen(function* () {
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "headrace-object-log-"))),
      (made) => Effect.sync(() => rmSync(made, { recursive: true, force: true }))
    )
    const options = { rows: 20_000 }
    const golden = goldens.find(({ name }) => name === "a")!
    const pieces = [...Orders.ndjson(options, 1 << 19)]
    const put = (from: number, until: number) =>
      Effect.gen(function* () {
        const store = yield* ObjectStore
        for (let i = from; i < until; i++)
          yield* i % 2 === 0
            ? store.put(`orders/${i}.ndjson`, pieces[i]!)
            : store.put(`orders/${i}.ndjson.gz`, gzipSync(pieces[i]!))
      })
    /** What a process that starts anew makes of the folder, in the view store of that name. */
    const run = (name: string) =>
      Effect.gen(function* () {
        yield* Live.run({ views: [{ view: golden.view, source: "golden" }], owner: name })
        return [yield* csv(golden), yield* StateHash.ofVersion(yield* ViewStore, golden.view.name, golden.view.version)]
      }).pipe(
        Effect.provide(
          Layer.merge(
            SqliteViewStore.layer({ path: join(folder, `${name}.db`) }),
            OneLog.layer.pipe(Layer.provideMerge(ObjectLog.layer({ topics: { orders: { prefix: "orders/" } } })))
          )
        )
      )
    yield* Effect.gen(function* () {
      const half = pieces.length >> 1
      assert.isAbove(half, 1)
      yield* put(0, half)
      assert.notStrictEqual((yield* run("steps"))[0], answerA(options))
      yield* put(half, pieces.length)
      const [text, hash] = yield* run("steps")
      assert.strictEqual(text, answerA(options))
      assert.deepStrictEqual(yield* run("once"), [text, hash])
    }).pipe(Effect.provide(FolderObjectStore.layer({ path: join(folder, "objects") })))
  }).pipe(Effect.scoped)
)
