export * as Archive from "./Archive.ts"
export * as HandOver from "./HandOver.ts"
export * as OneLog from "./OneLog.ts"
