/**
 * A real Kafka broker for a test: started, restarted, killed, frozen and moved at will, gone with its scope.
 *
 * It runs in Docker or as a process of this machine; a test can't tell which. What was acknowledged is there after every fault here. Each
 * operation that brings the broker back returns when it answers requests.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BrokerError, Exited, NotReady } from "./BrokerError.ts"
import type { Driver } from "./Driver.ts"
import * as KafkaContainer from "./KafkaContainer.ts"
import * as KafkaProbe from "./KafkaProbe.ts"
import * as KafkaProcess from "./KafkaProcess.ts"
import * as Ports from "./Ports.ts"

export { messageMaxBytes } from "./KafkaSettings.ts"

/** How a broker runs: in Docker, or as a process of this machine from Maven jars. */
export type Mode = "docker" | "process"

const allModes: ReadonlyArray<Mode> = ["docker", "process"]

/** The ways to try, best first: all, or those that `HEADRACE_KAFKA_MODES` names. `run.ts` leaves out there what this machine hasn't. */
export const modes: ReadonlyArray<Mode> = allModes.filter((mode) =>
  (process.env["HEADRACE_KAFKA_MODES"] ?? allModes.join(",")).split(",").includes(mode)
)

export interface Options {
  /** Broker properties, over those of `KafkaSettings.ts`. */
  readonly settings?: Readonly<Record<string, string>>
  /** Whether the settings make clients log in first. Default false. */
  readonly login?: boolean
  /** Whether they make clients speak TLS. Default false. */
  readonly tls?: boolean
}

export interface Broker {
  readonly mode: Mode
  /** What runs, for people. */
  readonly what: string
  /** `host:port` for clients. It stays the same until {@link Broker.move}. */
  readonly bootstrap: string
  /** Starts the broker after {@link Broker.stop} or {@link Broker.kill9}: same port, same data. */
  readonly start: Effect.Effect<void, BrokerError>
  /** Stops it in order (SIGTERM). */
  readonly stop: Effect.Effect<void, BrokerError>
  /** Kills it (SIGKILL). */
  readonly kill9: Effect.Effect<void, BrokerError>
  /** Stops it in order and starts it again. */
  readonly restart: Effect.Effect<void, BrokerError>
  /** Freezes it: connections stay open, nothing answers. */
  readonly pause: Effect.Effect<void, BrokerError>
  /** Lets a frozen broker go on. */
  readonly resume: Effect.Effect<void, BrokerError>
  /** Stops it in order and starts it on another port, with its data. Clients find {@link Broker.bootstrap} changed. */
  readonly move: Effect.Effect<void, BrokerError>
  /** `host:port` that the next {@link Broker.move} goes to. */
  readonly next: string
  /** The end of its log. */
  readonly log: Effect.Effect<string, BrokerError>
}

const drivers: Readonly<
  Record<
    Mode,
    {
      readonly make: (settings: Readonly<Record<string, string>>) => Effect.Effect<Driver, BrokerError, Scope.Scope>
      readonly check: Effect.Effect<void, BrokerError>
    }
  >
> = { docker: KafkaContainer, process: KafkaProcess }

/** Fails with what a mode lacks on this machine. Builds and downloads nothing. */
export const check = (mode: Mode): Effect.Effect<void, BrokerError> => drivers[mode].check

const patience = 120

const untilReady = (driver: Driver, port: number, { login, tls }: Options): Effect.Effect<void, BrokerError> =>
  Effect.gen(function* () {
    const ready =
      tls === true ? KafkaProbe.shakesHands(port) : login === true ? KafkaProbe.isThere(port) : KafkaProbe.answers(port)
    while (!(yield* ready)) {
      if (!(yield* driver.isUp)) {
        const reason = new Exited({ bootstrap: `127.0.0.1:${port}`, log: yield* driver.log })
        return yield* new BrokerError({ reason })
      }
      yield* Effect.sleep("25 millis")
    }
  }).pipe(
    Effect.timeoutOrElse({
      duration: patience * 1000,
      orElse: () =>
        Effect.flatMap(driver.log, (log) =>
          Effect.fail(
            new BrokerError({ reason: new NotReady({ bootstrap: `127.0.0.1:${port}`, seconds: patience, log }) })
          )
        )
    })
  )

/** Starts a broker and returns when it answers. The scope's end removes it with its data. Needs the real clock. */
export const start = (mode: Mode, options: Options = {}): Effect.Effect<Broker, BrokerError, Scope.Scope> =>
  Effect.gen(function* () {
    const driver = yield* drivers[mode].make(options.settings ?? {})
    let ports = { client: yield* Ports.free, internal: yield* Ports.free, controller: yield* Ports.free }
    let next = yield* Ports.free
    const up = Effect.suspend(() => Effect.andThen(driver.up(ports), untilReady(driver, ports.client, options)))
    const stop = driver.down("SIGTERM")
    yield* up
    return {
      mode,
      what: driver.what,
      get bootstrap() {
        return `127.0.0.1:${ports.client}`
      },
      start: up,
      stop,
      kill9: driver.down("SIGKILL"),
      restart: Effect.andThen(stop, up),
      pause: driver.pause,
      resume: driver.resume,
      move: Effect.gen(function* () {
        yield* stop
        ports = { ...ports, client: next }
        next = yield* Ports.free
        yield* up
      }),
      get next() {
        return `127.0.0.1:${next}`
      },
      log: driver.log
    }
  })

/** Starts a broker in the first way that this machine has; fails as the last one tried does. */
export const startAny = (options: Options = {}): Effect.Effect<Broker, BrokerError, Scope.Scope> =>
  Effect.firstSuccessOf(modes.map((mode) => Effect.andThen(check(mode), start(mode, options))))
