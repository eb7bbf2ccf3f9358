import * as Schema from "effect/Schema"
export class CodecError extends Schema.TaggedError()("CodecError", {
  topic: Schema.String,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  get message() {
    return `decoding topic "${this.topic}": ${this.detail}`
  }
}
