import { assert, describe, it } from "@effect/vitest"
import { FolderObjectStore, Key, MemoryObjectStore } from "@headrace/s3"
import * as ObjectStoreContract from "@headrace/s3/contract/ObjectStoreContract"
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fromErrno } from "../src/internal/errno.ts"

const text = (s: string) => new TextEncoder().encode(s)
const folder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "headrace-s3-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true }))
)

ObjectStoreContract.suite("memory", MemoryObjectStore.layer)
ObjectStoreContract.suite(
  "folder",
  Layer.unwrap(Effect.map(folder, (made) => FolderObjectStore.layer({ path: path.join(made, "new/below") }))),
  { conditionalMatch: false }
)

describe("FolderObjectStore", () => {
  it.live("shares a folder between stores, and lets one of their creators win", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const stores = yield* Effect.forEach([0, 1, 2], () => FolderObjectStore.make({ path: made }))
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, i) => stores[i % 3]!),
        (store, i) => store.putIfAbsent("a/b", text(`${i}`)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(outcomes.filter((outcome) => outcome === "created").length, 1)
      assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(path.join(made, "a"))), ["b"])
    })
  )

  it.live("ignores what a crash left behind", () =>
    Effect.gen(function* () {
      const made = yield* folder
      const store = yield* FolderObjectStore.make({ path: made })
      yield* store.put("a/b", text("x"))
      yield* Effect.promise(() => fs.writeFile(path.join(made, "a", ".headrace-tmp-dead"), "half"))
      yield* Effect.promise(() => fs.mkdir(path.join(made, "empty")))
      assert.deepStrictEqual(yield* Stream.runCollect(store.list("")), [{ key: "a/b", size: 1 }])
    })
  )

  it.live("refuses a key that is another's folder", () =>
    Effect.gen(function* () {
      const store = yield* FolderObjectStore.make({ path: yield* folder })
      yield* store.put("a/b", text("x"))
      for (const write of [store.put("a", text("y")), store.putIfAbsent("a", text("y")), store.put("a/b/c", text("y"))])
        assert.strictEqual((yield* Effect.flip(write)).reason._tag, "InvalidKey")
      const long = yield* Effect.flip(store.put("x".repeat(300), text("y")))
      assert.strictEqual(long.reason._tag, "InvalidKey")
      assert.deepStrictEqual(yield* Stream.runCollect(store.list("")), [{ key: "a/b", size: 1 }])
    })
  )

  it.live("gives the reasons of the system's errors", () =>
    Effect.gen(function* () {
      const reason = (code: string, operation = "write") =>
        fromErrno("k", operation)(Object.assign(new Error(code), { code })).reason._tag
      assert.strictEqual(reason("EACCES"), "PermissionDenied")
      assert.strictEqual(reason("EROFS"), "PermissionDenied")
      assert.strictEqual(reason("ENOSPC"), "NoSpace")
      assert.strictEqual(reason("EDQUOT"), "NoSpace")
      assert.strictEqual(reason("ENOTSUP"), "Unsupported")
      assert.strictEqual(reason("EIO"), "Io")
      assert.strictEqual(reason("ENOENT", "read"), "NotFound")
      if (process.getuid?.() === 0) return
      const made = yield* folder
      const store = yield* FolderObjectStore.make({ path: made })
      yield* Effect.promise(() => fs.chmod(made, 0o500))
      assert.strictEqual((yield* Effect.flip(store.put("a", text("x")))).reason._tag, "PermissionDenied")
    })
  )
})

describe("Key", () => {
  it("orders by UTF-8 bytes", () => {
    const keys = ["a", "a-b", "a.b", "a/b", "é", "\ue000", "ﬀ", "😀", "😁", "aa", ""]
    const bytes = (key: string) => Buffer.from(key, "utf8")
    assert.deepStrictEqual(
      [...keys].sort(Key.compareKeys),
      [...keys].sort((a, b) => Buffer.compare(bytes(a), bytes(b)))
    )
  })
})
