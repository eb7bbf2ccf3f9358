/** `archive verify` on the command line: what it says of a whole archive, of a damaged one, and how it ends. */
import { globSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import type { Verify } from "@headrace/archive"
import { Effect } from "effect"
import * as H from "./Harness.ts"

interface Verified {
  readonly topics: ReadonlyArray<Verify.Report>
}

it.live("ends with 0 where all is whole, and with 1 and the file's name where one is gone", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const folder = yield* H.revenueProject(data, 1)
    const nothing = yield* H.cli(folder, "archive", "verify")
    assert.deepStrictEqual([nothing.code, nothing.out.includes("Nothing is archived")], [0, true])
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(900))
    const keyed = ["--topic", "orders", "--key", "category", "--timestamp", "ts", "--partitions", "2"]
    assert.strictEqual((yield* H.cli(folder, "log", "import", file, ...keyed)).code, 0)
    assert.strictEqual((yield* H.cli(folder, "archive", "run", "orders")).code, 0)

    const whole = yield* H.cli(folder, "archive", "verify", "--json", "--repair")
    assert.strictEqual(whole.code, 0, whole.err)
    const [report] = whole.json<Verified>().topics
    assert.deepStrictEqual([report!.topic, report!.records, report!.findings], ["orders", 900, []])
    assert.include((yield* H.cli(folder, "archive", "verify", "orders")).out, "whole")
    assert.strictEqual((yield* H.cli(folder, "archive", "verify", "other")).code, 2)

    const [gone] = globSync(join(data, "archive/orders/data/**/*.parquet"))
    rmSync(gone!)
    const broken = yield* H.cli(folder, "archive", "verify", "orders")
    assert.strictEqual(broken.code, 1, broken.out)
    assert.include(broken.out, `file-missing, ${gone}`)
    assert.include(broken.out, "restore the file from a backup")
    const machine = yield* H.cli(folder, "archive", "verify", "--json")
    assert.strictEqual(machine.code, 1)
    assert.strictEqual(machine.json<Verified>().topics[0]!.findings[0]!.kind, "file-missing")
  }).pipe(Effect.scoped)
)
