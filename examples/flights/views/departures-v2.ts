import { Aggregate, Log, View, Window } from "@headrace/kappa"
import { flights } from "./flights.ts"

/** The first version, and how many different places one could fly to. */
export const departures = View.aggregate(
  "departures",
  flights.pipe(Log.select("date", "delay", "origin", "destination")),
  {
    version: 2,
    by: { origin: "origin" },
    window: Window.tumbling("1 day"),
    values: {
      flights: Aggregate.count,
      average_delay: Aggregate.avg("delay", { places: 2 }),
      delayed: Aggregate.countIf((flight) => flight.delay > 15),
      destinations: Aggregate.countDistinct("destination")
    }
  }
)
