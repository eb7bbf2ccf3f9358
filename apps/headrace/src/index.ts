export { defineConfig } from "./Config.ts"
export * as Project from "./Project.ts"
export * as ProjectError from "./ProjectError.ts"
export * as Workers from "./Workers.ts"
