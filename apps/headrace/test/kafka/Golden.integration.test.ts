/** The golden questions from a real broker: what other engines answered from one partition, and from four what the embedded log gives. */
import { execFile } from "node:child_process"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import { withBroker } from "../../../../packages/kafka/test/broker.ts"
import { commandOf } from "../support/Child.ts"

interface Golden {
  readonly results: ReadonlyArray<{
    readonly name: string
    readonly hash: string
    readonly rows: number
    /** Of two replays in different batch sizes. */
    readonly replayEqualsLive: boolean
    readonly golden?: boolean
  }>
}

const golden = (...args: ReadonlyArray<string>) =>
  new Promise<Golden>((resolve, reject) => {
    const [command, own] = commandOf(join(import.meta.dirname, "../../../../examples/orders/golden.ts"))
    execFile(command, [...own, "--json", ...args], (error, stdout, stderr) =>
      error === null ? resolve(JSON.parse(stdout) as Golden) : reject(new Error(`${error.message}${stdout}${stderr}`))
    )
  })

withBroker((brokers) => {
  const onKafka = (...args: ReadonlyArray<string>) => golden("--log", "kafka", "--brokers", brokers.join(","), ...args)

  for (const driver of ["platformatic", "kafkajs"])
    it(`one partition gives what other engines answered, live and replayed (${driver})`, async () => {
      const { results } = await onKafka("--driver", driver)
      assert.deepStrictEqual(
        results.map(({ golden, name, replayEqualsLive }) => [name, golden, replayEqualsLive]),
        ["a", "b", "c", "d"].map((name) => [name, true, true])
      )
    })

  it("four partitions give the embedded log's state, live, replayed, and replayed in other batch sizes", async () => {
    const { results } = await onKafka("--partitions", "4")
    assert.isTrue(results.every((r) => r.replayEqualsLive))
    assert.deepStrictEqual(results, (await golden("--partitions", "4")).results)
  })

  it("a broker that isn't there is told in one line", async () => {
    const error = await golden("--log", "kafka", "--brokers", "127.0.0.1:1").catch(String)
    assert.match(String(error), /\nerror: no answer from Kafka at 127\.0\.0\.1:1 [^\n]+\n$/)
  })
})
