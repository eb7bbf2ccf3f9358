/**
 * A cluster as a client sees it: its brokers, who leads a partition, who coordinates a group or a transaction; and the sending of requests to
 * them, again and again while what fails is passing. Consumers, producers and admin share one, each with connections of its own.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import {
  BrokerUnavailable,
  InvalidInput,
  KafkaError,
  type Reason,
  Timeout,
  TopicNotFound,
  Unknown,
  UnsupportedByBroker
} from "../KafkaError.ts"
import { type Address, addressText, type Settings } from "../KafkaOptions.ts"
import * as Api from "./Api.ts"
import { MalformedBytes, Reader, Writer } from "./Bytes.ts"
import { Code, isPassing, nameOf, reasonOf } from "./ErrorCodes.ts"
import * as Elapsed from "./Elapsed.ts"
import * as GroupApi from "./GroupApi.ts"
import type { Connection, Transport } from "./Transport.ts"

/** A failure that may pass; it becomes `reason` when it doesn't in time. */
export class Again extends Data.TaggedError("Again")<{ readonly reason: Reason }> {}

/** Whether the answer, not the question, may have been lost. */
export const isLost = ({ reason }: Again): boolean => reason._tag === "BrokerUnavailable" || reason._tag === "Timeout"

const broke = "the connection broke"

const hungUp = /broke|closed|reset|hang up|not connected|after end|ended|EPIPE/i

/** What a listener may want that hangs up on a client without a word. */
const hangUpHint = ({ sasl, tls }: Settings): string => {
  const wanted = [
    ...(tls === undefined || tls === false
      ? ["TLS"]
      : typeof tls === "boolean" || !tls.cert
        ? ["a client's certificate"]
        : []),
    ...(sasl === undefined ? ["SASL"] : [])
  ]
  return wanted.length === 0 ? "" : `; a listener that wants ${wanted.join(" or ")} hangs up so on a client without it`
}

const shortestPause = 5
const longestPause = 500

/** Runs an attempt until it ends in something that isn't `Again`, with growing pauses, for at most `millis`. */
export const retrying = <A, R>(
  millis: number,
  attempt: Effect.Effect<A, KafkaError | Again, R>
): Effect.Effect<A, KafkaError, R> =>
  Effect.gen(function* () {
    const start = yield* Elapsed.millis
    for (let pause = shortestPause; ; pause = Math.min(2 * pause, longestPause)) {
      const result = yield* Effect.result(attempt)
      if (Result.isSuccess(result)) return result.success
      const failure = result.failure
      if (!(failure instanceof Again)) return yield* failure
      const jittered = yield* Random.nextBetween(pause / 2, pause)
      const now = yield* Elapsed.millis
      if (now - start + jittered > millis) return yield* new KafkaError({ reason: failure.reason })
      yield* Effect.sleep(jittered)
    }
  })

/** Connections of one user, by broker; made when they are needed, and closed with the scope. */
export interface Links {
  readonly get: (address: Address) => Effect.Effect<Connection, KafkaError>
  readonly drop: (address: Address) => Effect.Effect<void>
}

const makeLinks = (transport: Transport): Effect.Effect<Links, never, Scope.Scope> =>
  Effect.gen(function* () {
    interface Link {
      readonly lock: Semaphore.Semaphore
      connection: Connection | undefined
    }
    const links = new Map<string, Link>()
    const linkOf = (address: Address): Link => {
      const key = addressText(address)
      let link = links.get(key)
      if (link === undefined) links.set(key, (link = { lock: Semaphore.makeUnsafe(1), connection: undefined }))
      return link
    }
    const close = (link: Link) =>
      Effect.suspend(() => {
        const { connection } = link
        link.connection = undefined
        return connection === undefined ? Effect.void : connection.close
      })
    let closed = false
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        closed = true
        return Effect.forEach(links.values(), close, { discard: true })
      })
    )
    const refused = new KafkaError({
      reason: new InvalidInput({ detail: "a Kafka client was used after the scope that it was made in was closed" })
    })
    return {
      get: (address) =>
        Effect.suspend(() => {
          const link = linkOf(address)
          if (closed) return Effect.fail(refused)
          if (link.connection?.isOpen() === true) return Effect.succeed(link.connection)
          return link.lock.withPermit(
            Effect.gen(function* () {
              if (link.connection?.isOpen() === true) return link.connection
              yield* close(link)
              return yield* Effect.uninterruptibleMask((restore) =>
                Effect.tap(restore(transport.connect(address)), (connection): Effect.Effect<void, KafkaError> =>
                  closed
                    ? Effect.andThen(connection.close, Effect.fail(refused))
                    : Effect.sync(() => {
                        link.connection = connection
                      })
                )
              )
            })
          )
        }),
      drop: (address) => close(linkOf(address))
    }
  })

interface Topic {
  readonly id: string
  readonly internal: boolean
  /** By partition: the leader's node id, -1 for none. */
  readonly leaders: ReadonlyArray<number>
}

export interface Cluster {
  readonly transport: Transport
  readonly settings: Settings
  /** Whether brokers add partitions to transactions by themselves and give each transaction an epoch. */
  readonly transactionsV2: boolean
  /** Whether groups by KIP-848 are on. */
  readonly consumerGroups: boolean
  readonly links: Effect.Effect<Links, never, Scope.Scope>
  /** One request, one answer; `Again` when the connection broke or no answer came in time. */
  readonly call: <I, O>(
    links: Links,
    address: Address,
    api: Api.Api<I, O>,
    input: I,
    extraMillis?: number
  ) => Effect.Effect<O, KafkaError | Again>
  /** As `call`, to any broker that answers. */
  readonly callAny: <I, O>(links: Links, api: Api.Api<I, O>, input: I) => Effect.Effect<O, KafkaError | Again>
  /** What is known of a topic; asks when nothing is. */
  readonly topic: (links: Links, topic: string) => Effect.Effect<Topic, KafkaError | Again>
  /** The same, asking in any case. */
  readonly refresh: (links: Links, topic: string) => Effect.Effect<Topic, KafkaError | Again>
  /** Forgets what is known of a topic: its leader has moved, or it is gone. */
  readonly forget: (topic: string) => void
  /** Where a partition's leader is. */
  readonly leader: (links: Links, topic: string, partition: number) => Effect.Effect<Address, KafkaError | Again>
  readonly coordinator: (
    links: Links,
    kind: "group" | "transaction",
    key: string
  ) => Effect.Effect<Address, KafkaError | Again>
  readonly forgetCoordinator: (kind: "group" | "transaction", key: string) => void
  /** As `call`, to a leader of these topics; forgets them when it fails. */
  readonly callLeader: <I, O>(
    links: Links,
    address: Address,
    topics: ReadonlyArray<string>,
    api: Api.Api<I, O>,
    input: I,
    extraMillis?: number
  ) => Effect.Effect<O, KafkaError | Again>
  /** As `call`, to a coordinator; forgets it when it fails. */
  readonly callCoordinator: <I, O>(
    links: Links,
    kind: "group" | "transaction",
    key: string,
    api: Api.Api<I, O>,
    input: I,
    extraMillis?: number
  ) => Effect.Effect<O, KafkaError | Again>
}

const decode = <I, O>(api: Api.Api<I, O>, address: Address, bytes: Uint8Array): O | KafkaError => {
  try {
    const reader = new Reader(bytes)
    // The header of this one response has no tagged fields, so that clients can read it before they know the broker's version.
    if (api.key !== Api.apiVersions.key) reader.tags()
    return api.read(reader)
  } catch (cause) {
    if (!(cause instanceof MalformedBytes || cause instanceof RangeError)) throw cause
    return new KafkaError({
      reason: new Unknown({
        operation: `reading the answer of ${addressText(address)} to ${api.name}`,
        code: "a malformed message",
        detail: cause.message
      })
    })
  }
}

/** Connects to the first broker that answers, and fails at once when none does. */
export const make = (transport: Transport, settings: Settings): Effect.Effect<Cluster, KafkaError, Scope.Scope> =>
  Effect.gen(function* () {
    const nodes = new Map<number, Address>()
    const topics = new Map<string, Topic>()
    const coordinators = new Map<string, Address>()

    const call: Cluster["call"] = (links, address, api, input, extraMillis = 0) =>
      Effect.gen(function* () {
        const connection = yield* Effect.mapError(links.get(address), (error) =>
          error.reason._tag === "BrokerUnavailable" ? new Again({ reason: error.reason }) : error
        )
        const writer = new Writer()
        // The request's header ends with its tagged fields: none.
        writer.tags()
        api.write(writer, input)
        const millis = settings.requestTimeoutMillis + extraMillis
        const request = { apiKey: api.key, apiVersion: api.version, body: writer.take() }
        const bytes = yield* connection.send(request).pipe(
          Effect.catch(({ reason }) => {
            const failure =
              reason._tag === "BrokerUnavailable"
                ? new Again({ reason: new BrokerUnavailable({ ...reason, detail: `${broke}: ${reason.detail}` }) })
                : new KafkaError({ reason })
            return Effect.andThen(links.drop(address), Effect.fail(failure))
          }),
          Effect.timeoutOrElse({
            duration: millis,
            orElse: () =>
              Effect.andThen(
                links.drop(address),
                Effect.fail(
                  new Again({ reason: new Timeout({ operation: api.name, millis, detail: addressText(address) }) })
                )
              )
          })
        )
        const output = decode(api, address, bytes)
        return output instanceof KafkaError ? yield* output : output
      })

    const callAny: Cluster["callAny"] = (links, api, input) =>
      Effect.gen(function* () {
        let last: Again | undefined
        // Learned addresses first; the given ones help when all of those have moved.
        const addresses = new Map([...nodes.values(), ...settings.addresses].map((a) => [addressText(a), a]))
        for (const address of addresses.values()) {
          const result = yield* Effect.result(call(links, address, api, input))
          if (Result.isSuccess(result)) return result.success
          if (!(result.failure instanceof Again)) return yield* result.failure
          last = result.failure
        }
        return yield* last!
      })

    const learn = (links: Links, names: ReadonlyArray<string> | undefined) =>
      Effect.map(callAny(links, Api.metadata, names), (metadata) => {
        nodes.clear()
        for (const { host, id, port } of metadata.nodes) nodes.set(id, { host, port })
        return metadata.topics
      })

    const refresh: Cluster["refresh"] = (links, name) =>
      Effect.gen(function* () {
        topics.delete(name)
        const found = (yield* learn(links, [name]))[0]
        if (found === undefined) return yield* new KafkaError({ reason: new TopicNotFound({ topic: name }) })
        if (found.code !== 0) {
          const reason = reasonOf(found.code, { operation: "describe", topic: name })
          return yield* isPassing(found.code) ? new Again({ reason }) : new KafkaError({ reason })
        }
        const topic = {
          id: found.id,
          internal: found.internal,
          leaders: found.partitions.map(({ leader }) => leader)
        }
        topics.set(name, topic)
        return topic
      })

    const topic: Cluster["topic"] = (links, name) =>
      Effect.suspend(() => {
        const known = topics.get(name)
        return known === undefined ? refresh(links, name) : Effect.succeed(known)
      })

    const leader: Cluster["leader"] = (links, name, partition) =>
      Effect.gen(function* () {
        const address = nodes.get((yield* topic(links, name)).leaders[partition] ?? -1)
        if (address !== undefined) return address
        topics.delete(name)
        return yield* new Again({
          reason: new BrokerUnavailable({
            address: `the leader of topic "${name}" partition ${partition}`,
            detail: nameOf(5)
          })
        })
      })

    const coordinator: Cluster["coordinator"] = (links, kind, key) =>
      Effect.gen(function* () {
        const known = coordinators.get(`${kind} ${key}`)
        if (known !== undefined) return known
        const { code, detail, host, port } = yield* callAny(links, Api.findCoordinator, { key, kind })
        if (code !== 0) {
          const about = { operation: `find the coordinator of ${kind} "${key}"`, group: key, transactionalId: key }
          const reason = reasonOf(code, about, detail)
          return yield* isPassing(code) ? new Again({ reason }) : new KafkaError({ reason })
        }
        const address = { host, port }
        coordinators.set(`${kind} ${key}`, address)
        return address
      })

    const forgetCoordinator: Cluster["forgetCoordinator"] = (kind, key) => coordinators.delete(`${kind} ${key}`)

    const unanswered = ({ address, detail }: BrokerUnavailable) =>
      new BrokerUnavailable({
        address: settings.addresses.length > 1 ? settings.brokers.join(", ") : address,
        detail: hungUp.test(detail) ? `${detail}${hangUpHint(settings)}` : detail
      })

    const first = yield* makeLinks(transport)
    const hello = yield* callAny(first, Api.apiVersions, { software: "headrace", version: "0.1.0" }).pipe(
      // A listener that wants SASL hangs up now, or at the first question already.
      Effect.tap(() => learn(first, [])),
      Effect.catchTag("Again", ({ reason }) =>
        Effect.fail(new KafkaError({ reason: reason._tag === "BrokerUnavailable" ? unanswered(reason) : reason }))
      )
    )
    const missing = [Api.metadata, Api.fetch, Api.produce].find(({ key, version }) => {
      const [min, max] = hello.versions.get(key) ?? [0, -1]
      return version < min || version > max
    })
    if (hello.code !== Code.none || missing !== undefined)
      return yield* new KafkaError({
        reason: new UnsupportedByBroker({
          address: settings.brokers.join(", "),
          feature: missing === undefined ? nameOf(hello.code) : `${missing.name} in version ${missing.version}`
        })
      })
    return {
      transport,
      settings,
      transactionsV2: (hello.features.get("transaction.version") ?? 0) >= 2,
      consumerGroups: (hello.features.get("group.version") ?? 0) >= 1 && hello.versions.has(GroupApi.heartbeat.key),
      links: makeLinks(transport),
      call,
      callAny,
      topic,
      refresh,
      forget: (name) => topics.delete(name),
      leader,
      coordinator,
      forgetCoordinator,
      callLeader: (links, address, names, api, input, extraMillis) =>
        Effect.tapError(call(links, address, api, input, extraMillis), () =>
          Effect.sync(() => {
            for (const name of names) topics.delete(name)
          })
        ),
      callCoordinator: (links, kind, key, api, input, extraMillis) =>
        coordinator(links, kind, key).pipe(
          Effect.flatMap((address) => call(links, address, api, input, extraMillis)),
          Effect.tapError(() => Effect.sync(() => forgetCoordinator(kind, key)))
        )
    }
  })
