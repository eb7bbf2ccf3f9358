/**
 * What a command prints and how it ends.
 *
 * Results go to standard output: text for people, or with `--json` one object as the last line. Progress and notes go to standard error.
 * In JSON, decimals are texts with all their places, instants are ISO texts, and whole numbers beyond 2⁵³ are texts, so that no reader
 * rounds them.
 */
import { stripVTControlCharacters } from "node:util"
import { Context, type Ref, Schema } from "effect"

/** Where text goes; a test reads it back. */
export interface Streams {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  /** Whether standard error is a terminal. */
  readonly terminal: boolean
}

export const Streams: Context.Reference<Streams> = Context.Reference<Streams>("headrace/Streams", {
  defaultValue: () => ({
    out: (text: string) => void process.stdout.write(text),
    err: (text: string) => void process.stderr.write(text),
    terminal: process.stderr.isTTY === true
  })
})

/** How a process ends: well, with an error, misused, with versions that differ, interrupted. */
export const Code = { ok: 0, error: 1, usage: 2, different: 3, interrupted: 130 } as const
export type Code = (typeof Code)[keyof typeof Code]

/** The code that the running command ends with, once it has printed its result. */
export class ExitCode extends Context.Service<ExitCode, Ref.Ref<Code | undefined>>()("headrace/ExitCode") {}

/** Arguments that don't go together. */
export class Usage extends Schema.TaggedError<Usage>()("Usage", { message: Schema.String }) {}

/** One line of JSON. */
export const json = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (typeof v === "bigint" ? String(v) : v))

/** A text on one line, without what would colour it. */
export const oneLine = (text: string): string =>
  stripVTControlCharacters(text)
    .trim()
    .replace(/\.?\s*\n\s*\n\s*/g, ". ")
    .replace(/\s*\n\s*/g, " ")
