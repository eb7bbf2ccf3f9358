/**
 * JSON values by a topic's schema.
 *
 * Decimals: a double is taken while no number of the record has more than 15 digits, counted in the bytes; otherwise the record is parsed
 * again with the source text of its numbers. Text must be valid UTF-8.
 */
import { isAscii } from "node:buffer"
import * as Effect from "effect/Effect"
import { Kind, keyOf, valueOf } from "./Batch.ts"
import * as Decimal from "./Decimal.ts"
import * as EventTime from "./EventTime.ts"
/** A value that isn't valid, as the code that it gets; never equal to a parsed value. */
class Bad {
  code
  constructor(code) {
    this.code = code
  }
}
const wrongType = new Bad("wrong-type")
const outOfRange = new Bad("out-of-range")
const missing = new Bad("missing-field")
const checkFailed = new Bad("check-failed")
const isoInstant = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.(\d{1,9}))?)?(?:Z|[+-]\d\d:\d\d))?$/
const instantOf = (value) => {
  if (typeof value === "number") return EventTime.isValid(value) ? value : outOfRange
  if (typeof value !== "string") return wrongType
  const match = isoInstant.exec(value)
  if (match === null) return wrongType
  // What is finer than a millisecond would be lost.
  if (match[1] !== undefined && /[1-9]/.test(match[1].slice(3))) return outOfRange
  const t = Date.parse(value)
  return EventTime.isValid(t) ? t : outOfRange
}
const parserOf = (column) => {
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
/** Reads one field of a parsed value: the column's value, or what is wrong with it. */
const readField = (field, value) => {
  if (value === undefined) return field.nullable ? null : missing
  if (value === null) return field.nullable ? null : wrongType
  const parsed = field.parse(value)
  return parsed instanceof Bad || field.check === undefined || field.check(value) ? parsed : checkFailed
}
/** Whether a number with more than 15 digits may stand in the bytes; digits in texts count too, which costs time but no exactness. */
const mayBeLong = (bytes, start, end) => {
  let run = 0
  for (let i = start; i < end; i++) {
    const c = bytes[i]
    if (c >= 48 && c <= 57) {
      if (++run > 15) return true
    } else if (c !== 46) run = 0
  }
  return false
}
/** Parses a record again and puts the source text of its long numbers into the fields that are decimals. */
const parseExactly = (text, decimals) => {
  const sources = []
  const reviver = function (key, value, context) {
    if (typeof value === "number" && decimals.has(key))
      sources.push({ holder: this, key, source: context.source ?? String(value) })
    return value
  }
  const root = JSON.parse(text, reviver)
  for (const s of sources) if (s.holder === root) root[s.key] = s.source
  return root
}
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
/** The text of each value: one string for the whole batch while it is ASCII, else decoded one by one. */
const textsOf = (batch) => {
  if (isAscii(batch.bytes)) {
    const all = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength).toString("latin1")
    return (i) => all.substring(batch.values[2 * i], batch.values[2 * i + 1])
  }
  return (i) => strict.decode(valueOf(batch, i))
}
/** A JSON codec for a topic's schema. */
export const make = (schema) => {
  const readers = schema.columns.map((c) => ({ ...c, parse: parserOf(c) }))
  const decimals = new Set(schema.columns.filter((c) => c.type.kind === "decimal").map((c) => c.name))
  const decode = (batch, names) => {
    const n = batch.count
    const outputs = schema.columns.map((c) =>
      !names.includes(c.name)
        ? undefined
        : c.type.kind === "string" || c.type.kind === "boolean" || c.nullable
          ? Array.from({ length: n }).fill(null)
          : new Float64Array(n)
    )
    const poison = new Map()
    let kinds
    const text = textsOf(batch)
    const reject = (i, code, field, detail) => {
      kinds ??= new Uint8Array(n)
      kinds[i] = Kind.poison
      poison.set(i, {
        code,
        field,
        detail,
        timestamp: batch.timestamps[i],
        key: keyOf(batch, i)?.slice() ?? null,
        value: valueOf(batch, i)?.slice() ?? null,
        headers: batch.headers?.[i] ?? []
      })
    }
    for (let i = 0; i < n; i++) {
      const start = batch.values[2 * i]
      if (start < 0) {
        kinds ??= new Uint8Array(n)
        kinds[i] = Kind.tombstone
        continue
      }
      let value
      try {
        const exact = decimals.size > 0 && mayBeLong(batch.bytes, start, batch.values[2 * i + 1])
        value = exact ? parseExactly(text(i), decimals) : JSON.parse(text(i))
      } catch (cause) {
        reject(i, "not-json", "", cause instanceof Error ? cause.message : String(cause))
        continue
      }
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        reject(i, "not-json", "", "expected a JSON object")
        continue
      }
      const fields = value
      for (let f = 0; f < readers.length; f++) {
        const reader = readers[f]
        const parsed = readField(reader, fields[reader.name])
        if (parsed instanceof Bad) {
          const type = schema.columns[f].type
          const given = JSON.stringify(fields[reader.name])?.slice(0, 80) ?? "nothing"
          reject(
            i,
            parsed.code,
            reader.name,
            `expected ${type.kind}${type.kind === "decimal" ? `(${type.scale})` : ""}, got ${given}`
          )
          break
        }
        const output = outputs[f]
        if (output !== undefined) output[i] = parsed
      }
    }
    const columns = {}
    for (let f = 0; f < readers.length; f++) if (outputs[f] !== undefined) columns[readers[f].name] = outputs[f]
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
