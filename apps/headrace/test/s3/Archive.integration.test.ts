/** The command line over an archive on a real S3 server: archived, cut from the log, replayed from there by threads; and what can't work. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { bucket, environment } from "integration-suite/S3Access"
import * as H from "../cli/Harness.ts"

interface Version {
  readonly version: number
  readonly state: string
  readonly counts: { readonly read: number }
}
interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}

const server = process.env["HEADRACE_S3_VERSITYGW"]
if (server === undefined) throw new Error("HEADRACE_S3_VERSITYGW isn't set; run this file by pnpm test:integration s3")

/** For this process and its workers. */
const reach = (more: { readonly S3_SECRET_ACCESS_KEY?: string } = {}) => {
  Object.assign(process.env, environment(server), more)
}

const archiveAt = (folder: string, data: string, url: string) => {
  const file = join(folder, "headrace.config.ts")
  writeFileSync(file, readFileSync(file, "utf8").replace(`${data}/archive`, url))
}

const ok = (outcome: H.Outcome): H.Outcome => {
  assert.strictEqual(outcome.code, 0, outcome.err)
  return outcome
}

it.live("replays from S3 what the log no longer has", () =>
  Effect.gen(function* () {
    reach()
    const data = yield* H.dataFolder
    const url = `s3://${yield* bucket(server)}/history/of orders`
    const project = (...versions: ReadonlyArray<number>) =>
      Effect.tap(H.revenueProject(data, ...versions), (folder) => Effect.sync(() => archiveAt(folder, data, url)))
    const one = yield* project(1)
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(3_000))
    const options = ["--topic", "orders", "--key", "category", "--timestamp", "ts", "--partitions", "3"]
    ok(yield* H.cli(one, "check"))
    ok(yield* H.cli(one, "log", "import", file, ...options))
    ok(yield* H.cli(one, "archive", "run", "orders"))
    ok(yield* H.cli(one, "run"))
    for (const partition of [0, 1, 2]) yield* H.deleteBefore(data, "orders", partition, 500)

    const two = yield* project(1, 2)
    ok(yield* H.cli(two, "check"))
    const replayed = yield* H.cli(two, "replay", "revenue", "--workers", "2", "--promote", "--json")
    const built = ok(replayed).json<Version>()
    assert.deepStrictEqual([built.version, built.state, built.counts.read], [2, "promoted", 3_000])
    const status = ok(yield* H.cli(two, "archive", "status", "--json")).json<{
      readonly path: string
      readonly archives: ReadonlyArray<{ readonly topic: string; readonly records: number }>
    }>()
    assert.strictEqual(status.path, url)
    assert.deepStrictEqual(
      status.archives.map(({ records, topic }) => [topic, records]),
      [["orders", 3_000]]
    )
  })
)

it.live("names the bucket that isn't there and credentials that aren't accepted, and no secret", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const plain = yield* H.revenueProject(data, 1)
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(30))
    ok(yield* H.cli(plain, "log", "import", file, "--topic", "orders", "--timestamp", "ts", "--partitions", "1"))
    const at = (url: string) =>
      Effect.gen(function* () {
        const folder = yield* H.revenueProject(data, 1)
        archiveAt(folder, data, url)
        // A process reads its environment once.
        const outcome = yield* H.processOf(folder, "archive", "run", "orders", "--json")
        assert.strictEqual(outcome.code, 1, outcome.out)
        return { message: outcome.json<Failure>().error.message, all: outcome.out + outcome.err }
      })
    reach()
    assert.include((yield* at("s3://no-such-bucket/history")).message, `no bucket "no-such-bucket"`)
    assert.include((yield* at("s3:///history")).message, "names no bucket")
    const name = yield* bucket(server)
    reach({ S3_SECRET_ACCESS_KEY: "another-secret" })
    const refused = yield* at(`s3://${name}/history`)
    assert.include(refused.message, `credentials for bucket "${name}"`)
    assert.notInclude(refused.all, "another-secret")
  })
)
