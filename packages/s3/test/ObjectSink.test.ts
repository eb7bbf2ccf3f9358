import { MemoryObjectStore } from "@headrace/s3"
import { sinkSuite } from "./sinkSuite.ts"

sinkSuite("memory", MemoryObjectStore.layer)
