/** `putStream` in terms of `openWrite`. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Service } from "../ObjectStore.ts"

export const putStream =
  (openWrite: Service["openWrite"]): Service["putStream"] =>
  (key, bytes) =>
    Effect.scoped(
      Effect.flatMap(openWrite(key), (writer) =>
        Effect.andThen(
          Stream.runForEach(bytes, (chunk) => writer.write(chunk)),
          writer.finish
        )
      )
    )
