/** Projects whose log is a test broker, a topic each; brokers of a test's own, and commands that run on. */
import { join } from "node:path"
import { KafkaDriver, KafkaLog } from "@headrace/kafka"
import * as KafkaJs from "@headrace/kafka/drivers/KafkaJs"
import * as Platformatic from "@headrace/kafka/drivers/Platformatic"
import { Deferred, Effect, Layer, Random } from "effect"
import { run } from "../../src/Cli.ts"
import { Streams } from "../../src/Output.ts"
import * as H from "../cli/Harness.ts"

export const drivers = {
  platformatic: Platformatic.layer,
  kafkajs: KafkaJs.layer
} as const
export type DriverName = keyof typeof drivers

/** A topic's name that no other test has. */
export const newTopic = Effect.map(
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  (n) => `headrace.${n.toString(36)}`
)

/** What the test does to the cluster itself. */
export const cluster = (brokers: ReadonlyArray<string>) =>
  KafkaLog.layer().pipe(Layer.provideMerge(drivers.platformatic({ brokers })))

export const admin = KafkaDriver.use((driver) => Effect.succeed(driver.admin))

export interface Options {
  readonly data: string
  readonly topic: string
  readonly brokers: ReadonlyArray<string>
  readonly driver: DriverName
  /** Entries of the config's `log.kafka`. */
  readonly more?: string
  readonly archive?: boolean
  /** The config's `output`. */
  readonly output?: string
}

const config = (
  { archive = true, brokers, data, driver, more = "", output }: Options,
  views: ReadonlyArray<string>
) => `import { defineConfig } from "headrace"
export default defineConfig({
  log: { kafka: { brokers: ${JSON.stringify(brokers)}, driver: "${driver}"${more} } },
  ${archive ? `archive: { path: "${join(data, "archive")}" },` : ""}
  store: { path: "${join(data, "views.db")}" },
  ${output === undefined ? "" : `output: ${output},`}
  views: ${JSON.stringify(views)}
})
`

/** A project with these view modules, over its topic. */
export const project = (options: Options, modules: Readonly<Record<string, string>>) =>
  H.projectFolder({
    "headrace.config.ts": config(options, Object.keys(modules)),
    "orders.ts": H.orders(options.topic),
    ...modules
  })

/** A project with these versions of `revenue`. */
export const revenue = (options: Options, ...versions: ReadonlyArray<number>) =>
  project(options, Object.fromEntries(versions.map((v) => [`revenue${v}.ts`, H.revenue(v)])))

/** A command that runs on in this process: what it says can be waited for. */
export const following = Effect.fnUntraced(function* (folder: string, ...args: ReadonlyArray<string>) {
  let [out, err] = ["", ""]
  const waiting: Array<readonly [text: string, said: Deferred.Deferred<void>]> = []
  const tell = () => {
    for (const [text, said] of waiting) if (err.includes(text)) Deferred.doneUnsafe(said, Effect.void)
  }
  const streams: Streams = {
    out: (text) => void (out += text),
    err: (text) => {
      err += text
      tell()
    },
    terminal: false
  }
  const fiber = yield* run([...args, "--project", folder]).pipe(
    Effect.provideService(Streams, streams),
    Effect.forkScoped
  )
  const said = (text: string) =>
    Effect.suspend(() => {
      const waited = Deferred.makeUnsafe<void>()
      waiting.push([text, waited])
      tell()
      return Deferred.await(waited)
    })
  return { fiber, said, out: () => out, err: () => err }
})
