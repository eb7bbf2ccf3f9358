/** Windows over event time. */
import * as EventTime from "@headrace/core/EventTime"
import type * as Duration from "effect/Duration"

/** Windows of one length, side by side, aligned to the epoch: `[start, start + size)`. */
export interface Tumbling {
  readonly kind: "tumbling"
  /** In milliseconds. */
  readonly size: number
}

/** Tumbling windows: `Window.tumbling("1 minute")`. */
export const tumbling = (size: Duration.Input): Tumbling => {
  const millis = EventTime.millis(size)
  if (millis === 0) throw new RangeError("a window's length must be more than zero")
  return { kind: "tumbling", size: millis }
}
