/**
 * The port of a codec: a batch of bytes in, columns out. It is an effect once a batch, so that a codec may ask a schema registry.
 *
 * A record that isn't valid for the schema is data: its kind is `poison` and its reason and bytes stand in `poison`. A null value is a
 * tombstone. A codec fails only when it can't do its work at all.
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { ColumnBatch, RecordBatch } from "./Batch.ts"
import type { TopicSchema } from "./TopicSchema.ts"

export class CodecError extends Schema.TaggedError<CodecError>()("CodecError", {
  topic: Schema.String,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `decoding topic "${this.topic}": ${this.detail}`
  }
}

export interface Codec {
  readonly schema: TopicSchema
  /** Validates every declared field of every record and gives the named columns. The result holds no view on the batch's buffer. */
  readonly decode: (batch: RecordBatch, columns: ReadonlyArray<string>) => Effect.Effect<ColumnBatch, CodecError>
}
