/**
 * JSON values by a topic's schema.
 *
 * Decimals: a double is taken while no number of the record has more than 15 digits or a negative exponent, which the bytes tell; otherwise
 * the source texts of the numbers are taken. Text must be valid UTF-8.
 */
import { isAscii } from "node:buffer"
import * as Effect from "effect/Effect"
import type { Column, ColumnBatch, RecordBatch } from "./Batch.ts"
import { emptyColumn, Kind, keyOf, valueOf } from "./Batch.ts"
import type { Codec } from "./Codec.ts"
import type { Poison, PoisonCode } from "./DeadLetter.ts"
import * as Decimal from "./Decimal.ts"
import * as EventTime from "./EventTime.ts"
import type { ColumnSpec, TopicSchema } from "./TopicSchema.ts"

type Parsed = string | number | boolean | null
/** A value that isn't valid, as the code that it gets; never equal to a parsed value. */
class Bad {
  readonly code: PoisonCode
  constructor(code: PoisonCode) {
    this.code = code
  }
}
const wrongType = new Bad("wrong-type")
const outOfRange = new Bad("out-of-range")
const missing = new Bad("missing-field")
const checkFailed = new Bad("check-failed")

const instantOf = (value: unknown): number | Bad => {
  if (typeof value === "number") return EventTime.isValid(value) ? value + 0 : outOfRange
  const t = typeof value === "string" ? EventTime.fromText(value) : undefined
  return t === undefined ? wrongType : Number.isNaN(t) ? outOfRange : t
}

const parserOf = (column: ColumnSpec): ((value: unknown) => Parsed | Bad) => {
  const type = column.type
  switch (type.kind) {
    case "string":
      // A lone surrogate isn't text, and U+0000 is none that every store holds.
      return (v) => (typeof v !== "string" ? wrongType : v.isWellFormed() && !v.includes("\0") ? v : outOfRange)
    case "boolean":
      return (v) => (typeof v === "boolean" ? v : wrongType)
    case "integer":
    case "date":
      return (v) =>
        typeof v !== "number"
          ? wrongType
          : Number.isSafeInteger(v)
            ? v + 0
            : Number.isInteger(v) || !Number.isFinite(v)
              ? outOfRange
              : wrongType
    case "double":
      return (v) => (typeof v !== "number" ? wrongType : Number.isFinite(v) ? v : outOfRange)
    case "instant":
      return instantOf
    case "decimal":
      return (v) => {
        const scaled =
          typeof v === "number"
            ? Decimal.fromDouble(v, type.scale)
            : typeof v === "string"
              ? Decimal.fromText(v, type.scale)
              : wrongType
        return scaled ?? (typeof v === "string" && !Decimal.isText(v) ? wrongType : outOfRange)
      }
  }
}

interface FieldReader {
  readonly name: string
  readonly nullable: boolean
  readonly parse: (value: unknown) => Parsed | Bad
  /** Tests what was parsed, however it was written. */
  readonly check: ((parsed: Parsed) => boolean) | undefined
}

const readerOf = (column: ColumnSpec): FieldReader => {
  const { check, name, nullable, type } = column
  return {
    name,
    nullable,
    parse: parserOf(column),
    // The schema of a decimal is one of numbers, and its column holds scaled integers.
    check: check && type.kind === "decimal" ? (scaled) => check(Number(scaled) / Decimal.power(type.scale)) : check
  }
}

/** Reads one field of a parsed value: the column's value, or what is wrong with it. */
const readField = (field: FieldReader, value: unknown): Parsed | Bad => {
  if (value === undefined) return field.nullable ? null : missing
  if (value === null) return field.nullable ? null : wrongType
  const parsed = field.parse(value)
  return parsed instanceof Bad || field.check === undefined || field.check(parsed) ? parsed : checkFailed
}

/**
 * Whether a number may stand in the bytes whose double doesn't tell it exactly: one of more than 15 digits, or with a negative exponent,
 * which a double may take for zero. Digits in texts count too, which costs time but no exactness.
 */
const mayBeLong = (bytes: Uint8Array, start: number, end: number): boolean => {
  let run = 0
  for (let i = start; i < end; i++) {
    const c = bytes[i]!
    if (c >= 48 && c <= 57) {
      if (++run > 15) return true
    } else if (run > 0 && c !== 46) {
      if ((c | 32) === 101 && bytes[i + 1] === 45) return true
      run = 0
    }
  }
  return false
}

/**
 * The source texts of the numbers that are values of the wanted keys of an object, whose `text` is valid JSON; the last of a key counts.
 * A loop, so that no depth of nesting is too deep: `JSON.parse` with a reviver recurses, and where that ends depends on the runtime.
 */
const sourcesOf = (text: string, wanted: ReadonlySet<string>): ReadonlyMap<string, string> => {
  const sources = new Map<string, string>()
  const number = /-?\d[\d.eE+-]*/y
  let depth = 0
  let key: string | undefined
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case "{":
      case "[":
        depth++
        break
      case "}":
      case "]":
        depth--
        break
      case ",":
        key = undefined
        break
      case '"': {
        const start = i
        while (text[++i] !== '"') if (text[i] === "\\") i++
        if (depth === 1 && key === undefined) {
          key = JSON.parse(text.slice(start, i + 1)) as string
          sources.delete(key)
        }
        break
      }
      default: {
        number.lastIndex = i
        const source = depth === 1 && key !== undefined && wanted.has(key) ? number.exec(text)?.[0] : undefined
        if (source === undefined) break
        sources.set(key!, source)
        i += source.length - 1
      }
    }
  }
  return sources
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The text of each value: one string for the whole batch while it is ASCII, else decoded one by one. */
const textsOf = (batch: RecordBatch): ((i: number) => string) => {
  if (isAscii(batch.bytes)) {
    const all = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength).toString("latin1")
    return (i) => all.substring(batch.values[2 * i]!, batch.values[2 * i + 1]!)
  }
  return (i) => strict.decode(valueOf(batch, i)!)
}

/** A value for people to read. Not what is in a list or an object, which may be nested deeper than a text of it can be made. */
const shown = (value: unknown): string =>
  value === undefined
    ? "nothing"
    : typeof value === "object" && value !== null
      ? Array.isArray(value)
        ? "a list"
        : "an object"
      : JSON.stringify(value).slice(0, 80)

/** A JSON codec for a topic's schema. */
export const make = (schema: TopicSchema): Codec => {
  const readers = schema.columns.map(readerOf)
  const decimals = new Set(schema.columns.filter((c) => c.type.kind === "decimal").map((c) => c.name))

  const decode = (batch: RecordBatch, names: ReadonlyArray<string>): ColumnBatch => {
    const n = batch.count
    const outputs = schema.columns.map((c): Float64Array | Array<Parsed> | undefined =>
      !names.includes(c.name)
        ? undefined
        : c.type.kind === "string" || c.type.kind === "boolean" || c.nullable
          ? emptyColumn<Parsed>(n).fill(null)
          : new Float64Array(n)
    )
    const poison = new Map<number, Poison>()
    let kinds: Uint8Array | undefined
    const text = textsOf(batch)
    const reject = (i: number, code: PoisonCode, field: string, detail: string) => {
      kinds ??= new Uint8Array(n)
      kinds[i] = Kind.poison
      poison.set(i, {
        code,
        field,
        detail,
        timestamp: batch.timestamps[i]!,
        key: keyOf(batch, i)?.slice() ?? null,
        value: valueOf(batch, i)?.slice() ?? null,
        headers: batch.headers?.[i] ?? []
      })
    }
    for (let i = 0; i < n; i++) {
      const start = batch.values[2 * i]!
      if (start < 0) {
        kinds ??= new Uint8Array(n)
        kinds[i] = Kind.tombstone
        continue
      }
      let value: unknown
      try {
        value = JSON.parse(text(i))
      } catch (cause) {
        reject(i, "not-json", "", cause instanceof Error ? cause.message : String(cause))
        continue
      }
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        reject(i, "not-json", "", "expected a JSON object")
        continue
      }
      const fields = value as Record<string, unknown>
      if (decimals.size > 0 && mayBeLong(batch.bytes, start, batch.values[2 * i + 1]!))
        for (const [name, source] of sourcesOf(text(i), decimals)) fields[name] = source
      for (let f = 0; f < readers.length; f++) {
        const reader = readers[f]!
        const parsed = readField(reader, fields[reader.name])
        if (parsed instanceof Bad) {
          const type = schema.columns[f]!.type
          reject(
            i,
            parsed.code,
            reader.name,
            `expected ${type.kind}${type.kind === "decimal" ? `(${type.scale})` : ""}, got ${shown(fields[reader.name])}`
          )
          break
        }
        const output = outputs[f]
        if (output !== undefined) output[i] = parsed as number
      }
    }
    const columns: Record<string, Column> = {}
    for (let f = 0; f < readers.length; f++) if (outputs[f] !== undefined) columns[readers[f]!.name] = outputs[f]!
    return {
      topic: batch.topic,
      partition: batch.partition,
      base: batch.base,
      next: batch.next,
      count: n,
      offsets: batch.offsets.slice(),
      columns,
      kinds,
      poison
    }
  }
  return { schema, decode: (batch, columns) => Effect.sync(() => decode(batch, columns)) }
}
