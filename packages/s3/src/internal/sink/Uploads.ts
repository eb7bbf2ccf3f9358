/** The uploads of a sink's files: rows are encoded into them group by group, and they appear when they are published. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ObjectWriter } from "../../ObjectStore.ts"
import { EncodingFailed, ObjectSinkError } from "../../ObjectSinkError.ts"
import { SinkPoint } from "../../SinkPoint.ts"
import * as CommitLog from "./CommitLog.ts"
import * as Encoder from "./Encoder.ts"
import type { OpenFile } from "./OpenFile.ts"

interface Upload {
  readonly key: string
  readonly scope: Scope.Closeable
  readonly writer: ObjectWriter
  readonly encoder: Encoder.Encoder
  bytes: number
}

export interface Uploads {
  /** How many are open. */
  readonly count: () => number
  /** How many bytes a byte in memory became, so far. */
  readonly ratio: () => number
  /** Encodes the file's rows in memory. */
  readonly encode: (file: OpenFile) => Effect.Effect<void, ObjectSinkError>
  /** Encodes the rest and the file's end; nothing of it appears yet. */
  readonly complete: (file: OpenFile) => Effect.Effect<CommitLog.File, ObjectSinkError>
  /** Makes the file appear. */
  readonly publish: (file: OpenFile) => Effect.Effect<void, ObjectSinkError>
}

/** Bytes are small against these at first, so that the first files don't end early. */
const firstRatio = { parquet: 0.25, text: 1 }

export const make = (
  place: CommitLog.Place,
  format: Encoder.Format,
  epoch: number
): Effect.Effect<Uploads, never, Scope.Scope> =>
  Effect.gen(function* () {
    const parent = yield* Effect.scope
    const point = yield* SinkPoint
    const uploads = new Map<OpenFile, Upload>()
    let [raw, encoded] = [0, 0]

    const open = (file: OpenFile) =>
      Effect.gen(function* () {
        const known = uploads.get(file)
        if (known !== undefined) return known
        const own: Encoder.Format =
          file.kind === "data"
            ? format
            : { kind: "ndjson", compression: format.kind === "parquet" ? "none" : (format.compression ?? "none") }
        const offset = String(file.offset).padStart(16, "0")
        const name = `${place.sink}-p${file.partition}-${offset}-e${epoch}.${Encoder.extension(own)}`
        const key = file.folder === "" ? name : `${file.folder}/${name}`
        const scope = yield* Scope.fork(parent)
        const writer = yield* CommitLog.call(
          place,
          Effect.provideService(place.store.openWrite(place.key(key)), Scope.Scope, scope)
        )
        const upload: Upload = { key, scope, writer, encoder: yield* Encoder.open(own, file.specs, key), bytes: 0 }
        uploads.set(file, upload)
        return upload
      })

    const send = (file: OpenFile, upload: Upload, chunks: ReadonlyArray<Uint8Array>) =>
      Effect.gen(function* () {
        for (const chunk of chunks) {
          yield* CommitLog.call(place, upload.writer.write(chunk))
          upload.bytes += chunk.length
          file.written += chunk.length
          encoded += chunk.length
        }
      })

    const encode: Uploads["encode"] = (file) =>
      Effect.gen(function* () {
        if (file.pendingRows === 0) return
        const upload = yield* open(file)
        raw += file.pendingBytes
        const chunks = yield* Effect.mapError(
          upload.encoder.group(file.columns, file.pendingRows),
          (cause) => new ObjectSinkError({ reason: new EncodingFailed({ sink: place.sink, cause }) })
        )
        file.clear()
        yield* send(file, upload, chunks)
        yield* point("after-part")
      })

    const complete = (file: OpenFile): Effect.Effect<CommitLog.File, ObjectSinkError> =>
      Effect.gen(function* () {
        yield* encode(file)
        const upload = yield* open(file)
        yield* send(file, upload, yield* upload.encoder.finish)
        return {
          key: upload.key,
          folder: file.folder,
          kind: file.kind,
          rows: file.rows,
          bytes: upload.bytes,
          partitions: [...file.spans].map(([partition, { first, last, rows }]) => ({ partition, first, last, rows }))
        }
      })

    const publish: Uploads["publish"] = (file) =>
      Effect.gen(function* () {
        const upload = yield* open(file)
        yield* CommitLog.call(place, upload.writer.finish)
        uploads.delete(file)
        yield* Scope.close(upload.scope, Exit.void)
      })

    const ratio = () =>
      raw < 1 << 20 ? (format.kind === "parquet" ? firstRatio.parquet : firstRatio.text) : encoded / raw
    return { count: () => uploads.size, ratio, encode, complete, publish }
  })
