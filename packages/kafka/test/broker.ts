/** The broker that the integration tests use: `HEADRACE_KAFKA` holds its addresses. */
import { assert, it } from "@effect/vitest"

const addresses = process.env["HEADRACE_KAFKA"]

/** Registers what needs a broker, or, without one, a test that says so and fails where one is required. */
export const withBroker = (register: (brokers: ReadonlyArray<string>) => void): void => {
  if (addresses !== undefined && addresses !== "") return register(addresses.split(","))
  it("was not run: set HEADRACE_KAFKA=host:port, or run pnpm test:integration kafka", () => {
    assert.notStrictEqual(process.env["HEADRACE_REQUIRE_KAFKA"], "1", "a broker is required here")
  })
}
