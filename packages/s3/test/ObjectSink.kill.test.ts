/** `HEADRACE_SINK_KILLS` rounds a point (default 2). */
import { FolderObjectStore } from "@headrace/s3"
import { Effect } from "effect"
import { folder } from "./folderStore.ts"
import { sinkKillSuite } from "./sinkKillSuite.ts"

const place = Effect.map(folder, (path) => ({ argument: path, store: FolderObjectStore.layer({ path }) }))
sinkKillSuite("a folder", place, Number(process.env["HEADRACE_SINK_KILLS"] ?? 2))
