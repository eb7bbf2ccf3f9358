/**
 * What a commit costs as a table grows: requests, and bytes that are read and written, counted below the catalog, of `HEADRACE_COMMITS` commits
 * of a file each. A window is 50 commits, as many as there are between two merges of manifests.
 *
 * Requests, manifests and manifest lists stay as they are. The metadata file names every snapshot that the table keeps, so it grows with
 * those, by less than a kilobyte each, until snapshots are expired.
 */
import { assert, describe, it } from "@effect/vitest"
import { Commit, Metadata, Table } from "@headrace/iceberg"
import { MemoryObjectStore, ObjectStore, type Service } from "@headrace/s3"
import { Effect } from "effect"
import { create, file } from "./fixtures.ts"

/** Of some commits. Bytes of the metadata file are apart: it names every snapshot that the table keeps. */
interface Cost {
  requests: number
  read: number
  written: number
  metadata: number
}

const none = (): Cost => ({ requests: 0, read: 0, written: 0, metadata: 0 })

/** A store that adds up what is asked of it. */
const counting = (store: Service, cost: Cost): Service => {
  const asked = <A>(answer: A): A => {
    cost.requests++
    return answer
  }
  const wrote = (key: string, bytes: Uint8Array) => {
    if (key.endsWith(".metadata.json")) cost.metadata += bytes.length
    else cost.written += bytes.length
  }
  const read = (bytes: Uint8Array) => Effect.sync(() => void (cost.read += bytes.length))
  return {
    ...store,
    get: (key) => asked(Effect.tap(store.get(key), read)),
    head: (key) => asked(store.head(key)),
    put: (key, bytes) => {
      wrote(key, bytes)
      return asked(store.put(key, bytes))
    },
    putIfAbsent: (key, bytes) => {
      wrote(key, bytes)
      return asked(store.putIfAbsent(key, bytes))
    },
    delete: (key) => asked(store.delete(key)),
    deleteMany: (keys) => asked(store.deleteMany(keys))
  }
}

const window = 50
const windows = Math.max(4, Math.floor(Number(process.env["HEADRACE_COMMITS"] ?? 300) / window))

describe(`Commit.append, ${windows * window} times`, () => {
  it.effect("asks and moves as much for the last commits as for the first", () =>
    Effect.gen(function* () {
      const cost = none()
      const store = counting(yield* ObjectStore, cost)
      const costs: Array<Cost> = []
      let table = yield* create("growing")
      for (let i = 0; i < windows * window; i++) {
        table = yield* Commit.append(table, { files: [file(i)] }).pipe(Effect.provideService(ObjectStore, store))
        if ((i + 1) % window !== 0) continue
        costs.push({ ...cost })
        Object.assign(cost, none())
        const manifests = yield* Table.manifests(table, Metadata.currentSnapshot(table.metadata)!)
        assert.isAtMost(manifests.length, window)
      }
      // The first merge comes in the second window.
      const [, second, ...others] = costs
      assert.isAtMost(second!.requests / window, 7)
      for (const [i, { metadata, read, requests, written }] of others.entries()) {
        assert.strictEqual(requests, second!.requests)
        // The manifest of all that was merged before is read and written once a window: some 45 bytes a file.
        const files = (i + 2) * window
        assert.isAtMost(read, 1.05 * second!.read + 60 * files)
        assert.isAtMost(written, 1.05 * second!.written + 60 * files)
        const snapshots = (i + 2.5) * window
        assert.isAtMost(metadata / window, 2_000 + 1_000 * snapshots)
      }
      const shown = costs.map((c) => `${c.requests / window} ${Math.round((c.read + c.written) / window)}`)
      console.log(`requests and bytes a commit, by window: ${shown.join(", ")}`)
    }).pipe(Effect.provide(MemoryObjectStore.layer))
  )
})
