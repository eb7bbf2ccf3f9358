/**
 * Gzip (of any number of members) and zstd (of any number of frames), told by their first bytes; anything else passes as it is. Decoded bytes
 * come as they are asked for, about a megabyte at a time.
 */
import { createGunzip, createZstdDecompress } from "node:zlib"
import type { Transform } from "node:stream"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Failure, type Next } from "./Failure.ts"
import { type Segment, ZstdFrames } from "./ZstdFrames.ts"

const chunkSize = 1 << 20
/** Compressed bytes that a decoder gets at a time: what it decodes of them is all there before it gets more. */
const step = 1 << 16

const broken = (detail: string) => new Failure({ kind: "broken", detail })

/** A decoder under way, as flags that its events set. */
class Decoder {
  readonly stream: Transform
  /** It has taken all that it was given. */
  ready = true
  ended = false
  error: Error | undefined
  #dirty = false
  #wake: (() => void) | undefined

  constructor(stream: Transform) {
    this.stream = stream
    stream.on("readable", this.#notify)
    stream.on("end", () => {
      this.ended = true
      this.#notify()
    })
    stream.on("error", (error) => {
      this.error = error
      this.#notify()
    })
  }

  write(bytes: Uint8Array): void {
    this.ready = false
    this.stream.write(bytes, () => {
      this.ready = true
      this.#notify()
    })
  }

  /** Until something happened that {@link stream} or the flags tell. */
  readonly changed: Effect.Effect<void> = Effect.callback((resume) => {
    this.#wake = () => {
      this.#wake = undefined
      this.#dirty = false
      resume(Effect.void)
    }
    if (this.#dirty) this.#wake()
    return Effect.sync(() => {
      this.#wake = undefined
    })
  })

  readonly #notify = () => {
    this.#dirty = true
    this.#wake?.()
  }
}

/** Segments of at most `step` bytes. */
const steps = function* (segments: ReadonlyArray<Segment>): Generator<Segment, void> {
  for (const { bytes, last } of segments)
    for (let at = 0; at < bytes.length; at += step)
      yield { bytes: bytes.subarray(at, at + step), last: last && at + step >= bytes.length }
}

/** The decoded bytes; each frame gets a decoder of its own. */
const decoded = (
  name: string,
  make: () => Transform,
  input: Next<Uint8Array>,
  frames: { readonly push: (bytes: Uint8Array) => ReadonlyArray<Segment>; readonly atEnd: boolean }
): Effect.Effect<Next<Uint8Array>, never, Scope.Scope> =>
  Effect.gen(function* () {
    let decoder: Decoder | undefined
    let pending: Generator<Segment, void> = steps([])
    let closing = false
    yield* Effect.addFinalizer(() => Effect.sync(() => decoder?.stream.destroy()))
    const feed = Effect.gen(function* (): Effect.fn.Return<boolean, Failure> {
      for (;;) {
        const { done, value } = pending.next()
        if (done !== true) {
          decoder ??= new Decoder(make())
          decoder.write(value.bytes)
          closing = value.last
          return true
        }
        const bytes = yield* input
        if (bytes === undefined) return false
        pending = steps(
          yield* Effect.try({
            try: () => frames.push(bytes),
            catch: (cause) => broken(cause instanceof Error ? cause.message : String(cause))
          })
        )
      }
    })
    return Effect.gen(function* () {
      for (;;) {
        const bytes = decoder?.stream.read() as Uint8Array | null | undefined
        if (bytes !== null && bytes !== undefined) return bytes
        if (decoder?.error !== undefined)
          return yield* broken(`its ${name} data are damaged or cut short (${decoder.error.message})`)
        if (decoder?.ended === true) {
          decoder.stream.destroy()
          decoder = undefined
          continue
        }
        if (decoder === undefined || (decoder.ready && !closing && !decoder.stream.writableEnded)) {
          if (yield* feed) continue
          if (!frames.atEnd) return yield* broken(`its ${name} data are cut short`)
          if (decoder === undefined) return undefined
          closing = true
        }
        if (decoder.ready && closing) {
          closing = false
          decoder.stream.end()
        }
        yield* decoder.changed
      }
    })
  })

/** A decoder of the whole for what one decoder handles in one go. */
const whole = { push: (bytes: Uint8Array): ReadonlyArray<Segment> => [{ bytes, last: false }], atEnd: true }

/** The bytes, decompressed when they begin as gzip or zstd do; `plain` when they don't. */
export const decompress = Effect.fnUntraced(function* (
  input: Next<Uint8Array>
): Effect.fn.Return<{ readonly bytes: Next<Uint8Array>; readonly plain: boolean }, Failure, Scope.Scope> {
  let first = yield* input
  const [a, b, c, d] = first ?? []
  const replayed: Next<Uint8Array> = Effect.suspend(() => {
    if (first === undefined) return input
    const bytes = first
    first = undefined
    return Effect.succeed(bytes)
  })
  if (a === 0x1f && b === 0x8b)
    return { bytes: yield* decoded("gzip", () => createGunzip({ chunkSize }), replayed, whole), plain: false }
  if (a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd)
    return {
      bytes: yield* decoded("zstd", () => createZstdDecompress({ chunkSize }), replayed, new ZstdFrames()),
      plain: false
    }
  return { bytes: replayed, plain: true }
})
