/** What the config's `output` may say; that it is done is proved on a real broker. */
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as H from "./Harness.ts"

interface Failure {
  readonly error: { readonly tag: string; readonly message: string }
}

const kafka = 'kafka: { brokers: ["127.0.0.1:1"] }'

/** The outcome of a command of a project with these versions of `revenue`, which reads `orders`, and this output. */
const project = (output: string, log: string, ...versions: ReadonlyArray<number>) =>
  H.projectFolder({
    "headrace.config.ts": `export default { log: ${log}, store: { path: "views.db" }, views: ${JSON.stringify(versions.map((v) => `revenue${v}.ts`))}, output: ${output} }`,
    ...Object.fromEntries(versions.map((v) => [`revenue${v}.ts`, H.revenue(v)]))
  })

it.live("an output that can't be meant is refused before anything is asked of Kafka", () =>
  Effect.gen(function* () {
    const cases: ReadonlyArray<readonly [output: string, parts: ReadonlyArray<string>]> = [
      ["{}", ['["output"]["views"]']],
      ["{ views: [] }", ['["output"]["views"]']],
      ['{ views: "all", topic: "a" }', ['unknown key ["output"]["topic"]']],
      ['{ views: ["revenu"] }', ['["output"]["views"] names "revenu"', "exported are revenue"]],
      [
        '{ views: "all", topics: { revenue: "a" } }',
        ['["output"]["topics"] names "revenue"', "revenue.v1, revenue.v2"]
      ],
      [
        '{ views: "all", topics: { "revenue.v1": "a", "revenue.v2": "a" } }',
        ["revenue.v1 and revenue.v2 both write", '"a"']
      ],
      ['{ views: "all", topics: { "revenue.v2": "revenue.v1" } }', ["both write to topic", '"revenue.v1"']],
      ['{ views: "all", topics: { "revenue.v1": "orders" } }', ['"orders"', 'view "revenue" (revenue1.ts) reads']]
    ]
    for (const [output, parts] of cases) {
      const folder = yield* project(output, `{ ${kafka} }`, 1, 2)
      const { code, err, json } = yield* H.cli(folder, "run", "--json")
      assert.deepStrictEqual([code, json<Failure>().error.tag], [1, "ConfigInvalid"], err)
      for (const part of ["headrace.config.ts", ...parts]) assert.include(json<Failure>().error.message, part)
    }
    // A log in a file has no cluster of its own.
    const folder = yield* project('{ views: "all" }', '{ path: "log.db" }', 1)
    const { code, json } = yield* H.cli(folder, "run", "--json")
    assert.deepStrictEqual([code, json<Failure>().error.tag], [1, "ConfigInvalid"])
    assert.include(json<Failure>().error.message, '["output"]["kafka"]')
  }).pipe(Effect.scoped)
)

it.live("check tells the topics, and what is wrong with them", () =>
  Effect.gen(function* () {
    const views = (output: string) =>
      Effect.flatMap(project(output, '{ path: "log.db" }', 1, 2), (folder) => H.cli(folder, "check", "--json"))
    const right = yield* views(`{ ${kafka}, views: "all", topics: { "revenue.v2": "shop.revenue" } }`)
    assert.deepStrictEqual(
      right.json<{ readonly views: ReadonlyArray<{ readonly output: string }> }>().views.map((v) => v.output),
      ["revenue.v1", "shop.revenue"]
    )
    const wrong = yield* views(`{ ${kafka}, views: ["revenues"] }`)
    assert.strictEqual(wrong.code, 1)
    assert.include(wrong.out, 'names \\"revenues\\"')
  }).pipe(Effect.scoped)
)
