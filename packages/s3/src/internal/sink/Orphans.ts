/** Files that no commit names and none ever can. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ObjectSinkError } from "../../ObjectSinkError.ts"
import * as CommitLog from "./CommitLog.ts"

/**
 * Keys of the sink's files whose epoch is over and that no commit names. The listing comes after the head: a file of an older epoch that is
 * named by no commit up to it is named by none.
 */
export const find = (place: CommitLog.Place): Effect.Effect<Stream.Stream<string, ObjectSinkError>, ObjectSinkError> =>
  Effect.gen(function* () {
    const head = yield* CommitLog.head(place)
    const named = new Set<string>()
    yield* Stream.runForEach(CommitLog.files(place), (file) => Effect.sync(() => named.add(place.key(file.key))))
    const own = new RegExp(`^${place.sink}-p\\d+-\\d{16}-e(\\d+)\\.[a-z.]+$`)
    return place.store.list(place.key("")).pipe(
      Stream.filter(({ key }) => {
        const epoch = own.exec(key.slice(key.lastIndexOf("/") + 1))?.[1]
        return epoch !== undefined && Number(epoch) < (head?.epoch ?? 0) && !named.has(key)
      }),
      Stream.map(({ key }) => key),
      Stream.mapError((cause) => CommitLog.failed(place.sink)(cause))
    )
  })
