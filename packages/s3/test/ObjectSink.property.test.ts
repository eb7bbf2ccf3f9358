/** `HEADRACE_SINK_ROUNDS` rounds in memory (default 60), a sixth of them on a folder. */
import { MemoryObjectStore } from "@headrace/s3"
import { folderStore } from "./folderStore.ts"
import { sinkOracle } from "./sinkOracle.ts"

const rounds = Number(process.env["HEADRACE_SINK_ROUNDS"] ?? 60)
sinkOracle("memory", MemoryObjectStore.layer, rounds)
sinkOracle("a folder", folderStore, Math.ceil(rounds / 6))
