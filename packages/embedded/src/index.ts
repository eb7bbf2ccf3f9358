export * as CommitPoint from "./CommitPoint.ts"
export * as SqliteLog from "./SqliteLog.ts"
export * as SqliteViewStore from "./SqliteViewStore.ts"
