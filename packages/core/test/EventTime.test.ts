import { assert, describe, it } from "@effect/vitest"
import { EventTime } from "@headrace/core"
import * as fc from "fast-check"

const instant = fc.integer({ min: EventTime.minimum, max: EventTime.maximum })

describe("EventTime", () => {
  it("puts every instant into the one window that holds it, aligned to the epoch", () => {
    fc.assert(
      fc.property(instant, fc.integer({ min: 1, max: 400 * 86_400_000 }), (t, size) => {
        const start = EventTime.windowStart(t, size)
        assert.isTrue(start <= t && t < start + size)
        assert.strictEqual(BigInt(start) % BigInt(size), 0n)
      }),
      { numRuns: 2_000 }
    )
    assert.strictEqual(EventTime.windowStart(-1, 60_000), -60_000)
    assert.strictEqual(EventTime.windowStart(0, 60_000), 0)
    assert.strictEqual(EventTime.windowStart(59_999, 60_000), 0)
  })

  it("closes a window when the watermark reaches its last millisecond", () => {
    assert.isFalse(EventTime.isLate(EventTime.none, EventTime.minimum))
    assert.isFalse(EventTime.isLate(59_998, 60_000))
    assert.isTrue(EventTime.isLate(59_999, 60_000))
    assert.isTrue(EventTime.isLate(60_000, 60_000))
  })

  it("knows the instants of the years 1 to 9999", () => {
    for (const t of [EventTime.minimum, -1, 0, EventTime.maximum]) assert.isTrue(EventTime.isValid(t))
    for (const t of [EventTime.minimum - 1, EventTime.maximum + 1, 0.5, Number.NaN, Infinity, EventTime.none])
      assert.isFalse(EventTime.isValid(t), `${t}`)
    assert.strictEqual(new Date(EventTime.minimum).toISOString(), "0001-01-01T00:00:00.000Z")
    assert.strictEqual(new Date(EventTime.maximum).toISOString(), "9999-12-31T23:59:59.999Z")
  })

  it("reads ISO-8601 texts with a zone", () => {
    fc.assert(
      fc.property(instant, (t) => {
        const iso = new Date(t).toISOString()
        assert.strictEqual(EventTime.fromText(iso), t)
        assert.strictEqual(EventTime.fromText(iso.slice(0, 10)), EventTime.windowStart(t, 86_400_000))
      })
    )
    assert.strictEqual(EventTime.fromText("2026-03-25T00:30:00+02:00"), Date.UTC(2026, 2, 24, 22, 30))
    assert.strictEqual(EventTime.fromText("2026-03-25T00:30Z"), Date.UTC(2026, 2, 25, 0, 30))
    assert.strictEqual(EventTime.fromText("2026-03-25T00:30:01.120000000Z"), Date.UTC(2026, 2, 25, 0, 30, 1, 120))
    assert.strictEqual(EventTime.fromText("2024-02-29"), Date.UTC(2024, 1, 29))
    for (const none of [
      "2026-02-29",
      "2100-02-29T00:00:00Z",
      "2026-02-30T00:00:00Z",
      "2026-04-31",
      "2026-13-01",
      "2026-00-01",
      "2026-01-00",
      "2026-01-01T25:00Z",
      "2026-01-01T00:00:60Z",
      "0000-12-31",
      "0001-01-01T00:00:00+01:00",
      "9999-12-31T23:59:59-00:01",
      "2026-01-01T00:00:00.0001Z"
    ])
      assert.isNaN(EventTime.fromText(none), none)
    for (const other of [
      "",
      "yesterday",
      "2026-01-01T00:00:00",
      "2026-1-1",
      "+002026-01-01",
      "2026-01-01 00:00:00Z",
      "1774396800000"
    ])
      assert.isUndefined(EventTime.fromText(other), other)
  })

  it("takes durations of whole milliseconds", () => {
    assert.strictEqual(EventTime.millis("5 seconds"), 5_000)
    assert.strictEqual(EventTime.millis(0), 0)
    assert.strictEqual(EventTime.millis("1 day"), 86_400_000)
    for (const bad of [0.5, Infinity, "1 nanos"] as const) assert.throws(() => EventTime.millis(bad), RangeError)
  })
})
