import { MemoryChangeSink } from "@headrace/core"
import { ChangeSink } from "@headrace/core/ChangeSink"
import * as ChangeSinkContract from "@headrace/core/contract/ChangeSinkContract"
import { Effect, Layer } from "effect"

const sink = MemoryChangeSink.make()

ChangeSinkContract.suite("memory", Layer.succeed(ChangeSink, ChangeSink.of(sink)), (stream) =>
  Effect.sync(() => sink.published(stream).flatMap((p) => p.changes))
)
