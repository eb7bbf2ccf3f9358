/** Servers in Docker: the API with its error, and the removal of what killed runs left. */
import * as Effect from "effect/Effect"
import { getContainerRuntimeClient } from "testcontainers"
import { BrokerError, Docker, Missing } from "./BrokerError.ts"
import * as Owner from "./Owner.ts"

// The scope removes the container, so no second container has to watch over it (its image would have to be pulled).
process.env["TESTCONTAINERS_RYUK_DISABLED"] ??= "true"

/** A call of the Docker API with its error. */
export const docker = <A>(operation: string, f: () => Promise<A>): Effect.Effect<A, BrokerError> =>
  Effect.tryPromise({ try: f, catch: (cause) => new BrokerError({ reason: new Docker({ operation, cause }) }) })

/** Fails when Docker doesn't answer. */
export const check: Effect.Effect<void, BrokerError> = Effect.asVoid(
  docker("reach Docker", getContainerRuntimeClient)
).pipe(
  Effect.mapError(
    () =>
      new BrokerError({
        reason: new Missing({ what: "Docker doesn't answer", todo: "start it (Debian: testcontainers/docker-up.sh)" })
      })
  )
)

/** Containers and volumes of processes that are gone. Another process may remove the same ones: what is gone already needs no removal. */
export const removeOrphans = (what: Parameters<typeof Owner.name>[0]): Effect.Effect<void, BrokerError> =>
  docker("remove what killed runs left", async () => {
    const { dockerode } = (await getContainerRuntimeClient()).container
    for (const { Id, Names } of await dockerode.listContainers({ all: true }))
      if (Names.some((name) => Owner.isOrphan(what, name.slice(1))))
        await dockerode.getContainer(Id).remove({ force: true, v: true }).catch(isGone)
    for (const { Name } of (await dockerode.listVolumes()).Volumes)
      if (Owner.isOrphan(what, Name)) await dockerode.getVolume(Name).remove().catch(isGone)
  })

const isGone = (cause: unknown): void => {
  const status = typeof cause === "object" && cause !== null && "statusCode" in cause ? cause.statusCode : undefined
  if (status !== 404 && status !== 409) throw cause
}
