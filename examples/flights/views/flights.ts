import { instant, Log } from "@headrace/kappa"
import { Schema } from "effect"

/** A flight, known when it has left: its record's timestamp is the planned departure plus the delay, so event time is out of order. */
export class Flight extends Schema.Class<Flight>("Flight")({
  /** The planned departure. */
  date: instant,
  /** In minutes; negative when it left early. */
  delay: Schema.Int,
  /** In miles. */
  distance: Schema.Int,
  origin: Schema.String,
  destination: Schema.String
}) {}

export const flights = Log.topic("flights", { value: Flight, eventTime: "date", outOfOrderness: "6 hours" })
