/** Change streams in memory: the reference driver of the port, and what tests read. It keeps every publish. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import {
  type Change,
  ChangeSinkError,
  type ChangeStream,
  type Progress,
  type Service,
  SinkFenced
} from "./ChangeSink.ts"

/** What one publish wrote. */
export interface Published {
  readonly changes: ReadonlyArray<Change>
  readonly progress: Progress
}

/** Streams by topic, version and view; `published` gives what was committed to one, in order. */
export interface MemoryChangeSink extends Service {
  readonly published: (stream: ChangeStream) => ReadonlyArray<Published>
}

/** A sink that lives as long as the value. */
export const make = (): MemoryChangeSink => {
  const streams = new Map<string, { epoch: number; readonly published: Array<Published> }>()
  const find = ({ topic, version, view }: ChangeStream) => {
    const id = JSON.stringify([topic, view, version])
    const found = streams.get(id) ?? { epoch: 0, published: [] }
    streams.set(id, found)
    return found
  }
  return {
    published: (stream) => find(stream).published,
    progress: (stream) => Effect.sync(() => find(stream).published.at(-1)?.progress),
    open: (stream) =>
      Effect.sync(() => {
        const own = find(stream)
        const epoch = ++own.epoch
        return {
          progress: own.published.at(-1)?.progress,
          publish: (changes, progress) =>
            Effect.flatMap(Stream.runCollect(changes), (all) =>
              Effect.suspend(() => {
                if (own.epoch !== epoch) {
                  const detail = `its epoch is ${epoch}, and that of the stream is ${own.epoch}`
                  return Effect.fail(new ChangeSinkError({ reason: new SinkFenced({ topic: stream.topic, detail }) }))
                }
                own.published.push({ changes: [...all], progress })
                return Effect.void
              })
            )
        }
      })
  }
}
