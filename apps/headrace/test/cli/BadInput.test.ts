/** What users get wrong: each ends with one line that names the file or the thing, and what to do. */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as H from "./Harness.ts"

interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}

/** An error that is one line for people, and has its tag for machines. */
const fails = (outcome: H.Outcome, tag: string, ...parts: ReadonlyArray<string>) => {
  assert.strictEqual(outcome.code, 1, outcome.out + outcome.err)
  assert.strictEqual(outcome.err.trimEnd().split("\n").at(-1)!.slice(0, 7), "error: ", outcome.err)
  const { error } = outcome.json<Failure>()
  assert.strictEqual(error.tag, tag)
  for (const part of parts) assert.include(error.message, part)
  assert.notInclude(outcome.err, "    at ")
  assert.notInclude(error.message, "\n")
}

const config = (text: string) =>
  Effect.flatMap(H.projectFolder({ "headrace.config.ts": text }), (folder) =>
    Effect.map(H.cli(folder, "status", "--json"), (outcome) => ({ outcome, file: join(folder, "headrace.config.ts") }))
  )

it.live("a config that is missing, broken, throwing, without default export, invalid or misspelt names its file", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    fails(yield* H.cli(data, "run", "--json"), "ConfigNotFound", join(data, "headrace.config.ts"), "--project")
    const broken = yield* config("export default (")
    fails(broken.outcome, "ModuleFailed", broken.file)
    const throwing = yield* config('throw new Error("no such luck")')
    fails(throwing.outcome, "ModuleFailed", throwing.file, "no such luck")
    const empty = yield* config("export const x = 1")
    fails(empty.outcome, "ConfigInvalid", empty.file, "default export")
    const invalid = yield* config("export default { log: {}, views: 3 }")
    fails(invalid.outcome, "ConfigInvalid", invalid.file, '["log"]["path"]', '["store"]', '["views"]')
    const misspelt = yield* config(H.config(data, ["a.ts"], ", arhive: 1, wrokers: 2"))
    fails(misspelt.outcome, "ConfigInvalid", misspelt.file, 'unknown key ["arhive"]', 'unknown key ["wrokers"]')
  }).pipe(Effect.scoped)
)

const onKafka = (log: string) => config(`export default { log: ${log}, store: { path: "views.db" }, views: [] }`)

it.live("a config on Kafka is refused where it is wrong, and holds no secret", () =>
  Effect.gen(function* () {
    const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
      ['{ path: "a.db", kafka: { brokers: ["a:1"] } }', ['["log"]["path"]', '["log"]["kafka"]', "one log"]],
      ["{ kafka: {} }", ['["log"]["kafka"]["brokers"]']],
      ["{ kafka: { brokers: [] } }", ['["log"]["kafka"]["brokers"]']],
      ['{ kafka: { brokers: ["a:1"], driver: "rdkafka" } }', ['["driver"]', "platformatic", "kafkajs"]],
      ['{ kafka: { brokers: ["a:1"], broker: "b" } }', ['unknown key ["log"]["kafka"]["broker"]']],
      [
        '{ kafka: { brokers: ["a:1"], sasl: { mechanism: "PLAIN", username: "ann", password: "s3cr3t" } } }',
        ['unknown key ["log"]["kafka"]["sasl"]["password"]', "KAFKA_SASL_PASSWORD"]
      ]
    ]
    for (const [log, parts] of cases) {
      const { file, outcome } = yield* onKafka(log)
      fails(outcome, "ConfigInvalid", file, ...parts)
      assert.notInclude(outcome.out + outcome.err, "s3cr3t")
    }
    const topics = (kafka: string) =>
      H.projectFolder({
        "headrace.config.ts": `export default { log: { kafka: ${kafka} }, store: { path: "views.db" }, views: [] }`
      }).pipe(Effect.flatMap((folder) => H.cli(folder, "log", "topics", "--json")))
    const sasl = yield* topics('{ brokers: ["a:1"], sasl: { mechanism: "PLAIN", username: "ann" } }')
    fails(sasl, "SecretMissing", "headrace.config.ts", '"ann"', "KAFKA_SASL_PASSWORD")
    const cert = yield* topics('{ brokers: ["a:1"], tls: { cert: "client.pem" } }')
    fails(cert, "SecretMissing", "client.pem", "KAFKA_TLS_KEY")
    const ca = yield* topics('{ brokers: ["a:1"], tls: { ca: "gone.pem" } }')
    fails(ca, "ConfigInvalid", '["tls"]["ca"]', "gone.pem")
  }).pipe(Effect.scoped)
)

it.live("a broker that isn't there, or an address that is none, is named by every command that needs it", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    // A port that was free a moment ago.
    const port = yield* Effect.callback<number>((resume) => {
      const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        server.close(() => resume(Effect.succeed(port)))
      })
    })
    const project = (address: string, driver: string) =>
      H.projectFolder({
        "headrace.config.ts": `export default { log: { kafka: { brokers: ["${address}"], driver: "${driver}" } }, store: { path: "${data}/views.db" }, views: ["revenue1.ts"] }`,
        "revenue1.ts": H.revenue(1)
      })
    for (const driver of ["platformatic", "kafkajs"]) {
      const folder = yield* project(`127.0.0.1:${port}`, driver)
      for (const command of [["run"], ["check"], ["log", "topics"], ["replay", "revenue"]])
        fails(yield* H.cli(folder, ...command, "--json"), "BrokerUnavailable", `127.0.0.1:${port}`, "check the address")
    }
    fails(
      yield* H.cli(yield* project("kafka", "platformatic"), "run", "--json"),
      "InvalidInput",
      '"kafka"',
      "host:port"
    )
  }).pipe(Effect.scoped)
)

const module = (text: string | undefined) =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const folder = yield* H.projectFolder({
      "headrace.config.ts": H.config(data, ["view.ts"]),
      ...(text === undefined ? {} : { "view.ts": text })
    })
    const [run, check] = [yield* H.cli(folder, "run", "--json"), yield* H.cli(folder, "check", "--json")]
    return { run, check, file: join(folder, "view.ts"), folder }
  })

it.live("a view module that is missing, broken, throwing or without a view names its file", () =>
  Effect.gen(function* () {
    const cases: ReadonlyArray<readonly [string | undefined, string, string]> = [
      [undefined, "ModuleFailed", "headrace.config.ts"],
      ["export const view = (", "ModuleFailed", ""],
      ['throw new Error("out of luck")', "ModuleFailed", "out of luck"],
      ['import "./gone.ts"', "ModuleFailed", "gone.ts"],
      ["export const view = 1", "NoViews", "View.aggregate"],
      [H.revenue(1).replace('category: "category"', '"1st": "category"'), "ModuleFailed", "1st"]
    ]
    for (const [text, tag, part] of cases) {
      const { check, file, run } = yield* module(text)
      fails(run, tag, file, part)
      fails(check, tag, file, part)
    }
  }).pipe(Effect.scoped)
)

it.live("check names file and line of a type error, by the project's own tsconfig if it has one", () =>
  Effect.gen(function* () {
    interface Check {
      readonly ok: boolean
      readonly problems: ReadonlyArray<{ readonly file: string; readonly message: string }>
    }
    const { check, folder } = yield* module(`${H.revenue(1)}export const n: number = "one"\n`)
    assert.strictEqual(check.code, 1)
    const [problem] = check.json<Check>().problems
    assert.match(problem!.file, /^view\.ts:9$/)
    assert.include(problem!.message, "TS2322")
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({ files: ["orders.ts"], compilerOptions: { noEmit: true, types: [] } })
    )
    const other = yield* H.cli(folder, "check", "--json")
    // Its own configuration leaves the module out, which is said.
    assert.strictEqual(other.code, 0, other.out)
    assert.include(other.out, "view.ts")
    assert.include(other.out, "isn't among the files of tsconfig.json")
  }).pipe(Effect.scoped)
)

it.live("a view that is renamed or removed under a running version is named, and nothing is run", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const one = yield* H.revenueProject(data, 1)
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(30))
    yield* H.cli(one, "log", "import", file, "--topic", "orders")
    yield* H.cli(one, "run")
    const renamed = yield* H.projectFolder({
      "headrace.config.ts": H.config(data, ["sales.ts"]),
      "sales.ts": H.revenue(1, "sales")
    })
    fails(
      yield* H.cli(renamed, "run", "--json"),
      "ViewDisappeared",
      '"revenue" (version 1)',
      "sales",
      "drop revenue --all"
    )
    const check = yield* H.cli(renamed, "check")
    assert.strictEqual(check.code, 1)
    assert.include(check.out, 'view "revenue" (version 1) is in the store and promoted')
    const status = yield* H.cli(renamed, "status")
    assert.notInclude(status.out, "sales version 1 is promoted")
    assert.strictEqual((yield* H.cli(renamed, "drop", "revenue", "--all")).code, 0)
    assert.strictEqual((yield* H.cli(renamed, "run")).code, 0)
  }).pipe(Effect.scoped)
)

it.live("a declaration that is changed under the same version is refused with what differs", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const one = yield* H.revenueProject(data, 1)
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(30))
    yield* H.cli(one, "log", "import", file, "--topic", "orders")
    yield* H.cli(one, "run")
    const change = (text: string) =>
      H.projectFolder({ "headrace.config.ts": H.config(data, ["revenue1.ts"]), "revenue1.ts": text })
    const declared = yield* change(H.revenue(1).replace('"1 minute"', '"2 minutes"'))
    fails(yield* H.cli(declared, "run", "--json"), "VersionExists", "120000", "60000", "version 2")
    const check = yield* H.cli(declared, "check")
    assert.strictEqual(check.code, 1)
    assert.include(check.out, "60000")
    assert.include(check.out, "120000")
    const lambda = yield* change(H.revenue(1).replace('=== "completed"', '=== "pending"'))
    fails(yield* H.cli(lambda, "replay", "revenue", "--json"), "VersionExists", "source")
    assert.include((yield* H.cli(lambda, "check")).out, "source of its module")
  }).pipe(Effect.scoped)
)

it.live("unknown views, versions and topics are refused with those that exist", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const two = yield* H.revenueProject(data, 1, 2)
    fails(yield* H.cli(two, "promote", "revenue", "1", "--json"), "StoreNotFound", "views.db")
    fails(yield* H.cli(two, "run", "--json"), "TopicNotFound", '"orders"')
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(30))
    yield* H.cli(two, "log", "import", file, "--topic", "orders")
    fails(yield* H.cli(two, "run", "revenu", "--json"), "UnknownView", '"revenu"', "exports revenue")
    fails(yield* H.cli(two, "replay", "revenue", "--version", "9", "--json"), "UnknownVersion", "9", "1, 2")
    yield* H.cli(two, "run")
    for (const command of [
      ["promote", "revenue", "7"],
      ["compare", "revenue", "1", "7"],
      ["late", "revenue", "--version", "7"]
    ])
      fails(yield* H.cli(two, ...command, "--json"), "NotInStore", "version 7", "version 1, version 2")
    fails(yield* H.cli(two, "rollback", "sales", "--json"), "NotInStore", '"sales"', "revenue (version 1")
    fails(yield* H.cli(two, "rollback", "revenue", "--json"), "NothingToRollBack", "revenue")
    fails(yield* H.cli(two, "archive", "run", "clicks", "--json"), "TopicUndeclared", "clicks", "orders")
    fails(yield* H.cli(two, "log", "read", "clicks", "--json"), "TopicNotFound", "clicks")
    fails(yield* H.cli(two, "log", "read", "orders", "--partition", "9", "--json"), "PartitionNotFound", "9", "4")
  }).pipe(Effect.scoped)
)

it.live("a version that is half built, and a project that doesn't load, don't keep readers from what is there", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const two = yield* H.revenueProject(data, 1, 2)
    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(30))
    yield* H.cli(two, "log", "import", file, "--topic", "orders")
    yield* H.cli(two, "run")
    yield* H.cli(two, "promote", "revenue", "2")
    const broken = yield* H.projectFolder({ "headrace.config.ts": H.config(data, ["gone.ts"]) })
    const back = yield* H.cli(broken, "rollback", "revenue", "--json")
    assert.deepStrictEqual([back.code, back.json<{ readonly version: number }>().version], [0, 1], back.err)
    const status = yield* H.cli(broken, "status", "--json")
    assert.strictEqual(status.code, 0)
    assert.include(status.json<{ readonly problem: string }>().problem, "gone.ts")
  }).pipe(Effect.scoped)
)

it.live("a wrong invocation ends with 2 and says what there is; a damaged archive names its table", () =>
  Effect.gen(function* () {
    const data = yield* H.dataFolder
    const one = yield* H.revenueProject(data, 1)
    const usage = [
      ["rnu"],
      ["run", "--folow"],
      ["replay"],
      ["run", "--interval", "soon"],
      ["drop", "revenue"],
      ["archive", "run"],
      []
    ]
    for (const args of usage) {
      const outcome = yield* H.cli(one, ...args, "--json")
      assert.strictEqual(outcome.code, 2, args.join(" "))
      assert.strictEqual(outcome.json<Failure>().error.tag, "Usage")
      assert.match(outcome.err, /^error: [^\n]+\n$/)
    }
    const help = yield* H.cli(one, "replay", "--help")
    assert.deepStrictEqual([help.code, help.out.includes("--require-equal"), help.err], [0, true, ""])

    const file = join(data, "orders.ndjson")
    writeFileSync(file, H.lines(30))
    yield* H.cli(one, "log", "import", file, "--topic", "orders")
    assert.strictEqual((yield* H.cli(one, "archive", "run", "orders")).code, 0)
    const metadata = join(data, "archive/orders/metadata")
    mkdirSync(join(data, "lost"))
    for (const name of readdirSync(metadata).filter((n) => n.endsWith(".metadata.json")))
      renameSync(join(metadata, name), join(data, "lost", name))
    fails(yield* H.cli(one, "archive", "status", "--json"), "ArchiveFailed", "orders")
  }).pipe(Effect.scoped)
)
