/** Files that no commit names and none ever can. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ObjectSinkError } from "../../ObjectSinkError.ts"
import * as CommitLog from "./CommitLog.ts"

/**
 * Keys of the sink's files whose epoch is over and that no commit names. The listing comes after the head: a file of an older epoch that is
 * named by no commit up to it is named by none. What lies below a folder with a commit log of the same name is that sink's.
 */
export const find = (place: CommitLog.Place): Effect.Effect<Stream.Stream<string, ObjectSinkError>, ObjectSinkError> =>
  Effect.gen(function* () {
    const head = yield* CommitLog.head(place)
    const named = new Set<string>()
    yield* Stream.runForEach(CommitLog.files(place), (file) => Effect.sync(() => named.add(place.key(file.key))))
    const own = new RegExp(`^${place.sink}-p\\d+-\\d{16}-e(\\d+)\\.[a-z.]+$`)
    const foreign = new Map<string, boolean>()
    /** Whether a folder between the prefix and the key is the prefix of another sink of this name. */
    const isForeign = (key: string) =>
      Effect.gen(function* () {
        const root = place.key("")
        const parts = key.slice(root.length).split("/").slice(0, -1)
        for (let n = 1; n <= parts.length; n++) {
          const folder = root + parts.slice(0, n).join("/")
          let found = foreign.get(folder)
          if (found === undefined) {
            found = yield* CommitLog.isPrefix(place, folder)
            foreign.set(folder, found)
          }
          if (found) return true
        }
        return false
      })
    return place.store.list(place.key("")).pipe(
      Stream.filter(({ key }) => {
        const epoch = own.exec(key.slice(key.lastIndexOf("/") + 1))?.[1]
        return epoch !== undefined && Number(epoch) < (head?.epoch ?? 0) && !named.has(key)
      }),
      Stream.map(({ key }) => key),
      Stream.mapError((cause) => CommitLog.failed(place.sink)(cause)),
      Stream.filterEffect((key) => Effect.map(isForeign(key), (is) => !is))
    )
  })
