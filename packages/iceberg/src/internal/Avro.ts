/**
 * Avro object container files: encoding by `avsc`, the container by hand, because `avsc` drops the `field-id` attributes of a schema that
 * Iceberg's readers need in the header.
 */
import avro from "avsc"
import { Buffer } from "node:buffer"
import { deflateRawSync, inflateRawSync } from "node:zlib"

/** An Avro schema as JSON, attributes and all. */
export type AvroSchema = string | { readonly [key: string]: unknown } | ReadonlyArray<AvroSchema>

/** A file's header and records. */
export interface Decoded {
  readonly metadata: ReadonlyMap<string, string>
  readonly schema: unknown
  readonly records: ReadonlyArray<Readonly<Record<string, unknown>>>
}

/** Thrown for a valid file that this module can't read. */
export class UnsupportedAvro extends Error {}

/** Longs as numbers, and as bigints beyond the safe integers. */
const long = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => {
    const value = buffer.readBigInt64LE()
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : value
  },
  toBuffer: (value: number | bigint) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigInt64LE(BigInt(value))
    return buffer
  },
  fromJSON: Number,
  toJSON: String,
  isValid: (value: unknown) => typeof value === "bigint" || Number.isSafeInteger(value),
  compare: (a: number | bigint, b: number | bigint) => (a < b ? -1 : a > b ? 1 : 0)
})

const compile = (schema: unknown) =>
  avro.Type.forSchema(schema as avro.Type, { registry: { long }, omitRecordMethods: true })

/** Compiled schemas by their text: a table has one or two, and compiling costs more than reading a small manifest. */
const compiled = new Map<string, avro.Type>()
const compiledLimit = 64
const typeOf = (text: string): avro.Type => {
  const known = compiled.get(text)
  if (known !== undefined) return known
  const type = compile(JSON.parse(text))
  if (compiled.size >= compiledLimit) compiled.clear()
  compiled.set(text, type)
  return type
}
const header = compile({ type: "map", values: "bytes" })
const magic = Buffer.from("Obj\u0001", "latin1")
const recordsPerBlock = 1000

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The bytes of a container file, deflated. `sync` is the 16-byte marker between blocks. Throws when a record doesn't fit the schema. */
export const encode = (
  schema: AvroSchema,
  metadata: Readonly<Record<string, string>>,
  records: ReadonlyArray<unknown>,
  sync: Uint8Array
): Uint8Array => {
  const schemaText = JSON.stringify(schema)
  const type = typeOf(schemaText)
  const all = { ...metadata, "avro.codec": "deflate", "avro.schema": schemaText }
  const head = Object.fromEntries(Object.entries(all).map(([key, value]) => [key, Buffer.from(value, "utf8")]))
  const parts: Array<Uint8Array> = [magic, header.toBuffer(head), sync]
  for (let at = 0; at < records.length; at += recordsPerBlock) {
    const block = records.slice(at, at + recordsPerBlock)
    const data = deflateRawSync(Buffer.concat(block.map((record) => type.toBuffer(record))))
    parts.push(long.toBuffer(block.length), long.toBuffer(data.length), data, sync)
  }
  return new Uint8Array(Buffer.concat(parts))
}

/** Reads a container file. Throws an `Error` when it isn't whole, and `UnsupportedAvro` for another compression. */
export const decode = (bytes: Uint8Array): Decoded => {
  const buffer = asBuffer(bytes)
  if (!buffer.subarray(0, 4).equals(magic)) throw new Error("it doesn't begin as an Avro file")
  const read = (type: avro.Type, at: number, from: Buffer): { readonly value: unknown; readonly offset: number } => {
    const result = type.decode(from, at)
    if (result.offset < 0) throw new Error("it is cut short")
    return result
  }
  const head = read(header, 4, buffer)
  const metadata = new Map(
    Object.entries(head.value as Record<string, Buffer>).map(([key, value]) => [key, value.toString("utf8")])
  )
  const codec = metadata.get("avro.codec") ?? "null"
  if (codec !== "null" && codec !== "deflate") throw new UnsupportedAvro(`Avro compression "${codec}"`)
  const schemaText = metadata.get("avro.schema") ?? "null"
  const schema: unknown = JSON.parse(schemaText)
  const type = typeOf(schemaText)
  const sync = buffer.subarray(head.offset, head.offset + 16)
  if (sync.length < 16) throw new Error("it is cut short")
  const records: Array<Readonly<Record<string, unknown>>> = []
  for (let at = head.offset + 16; at < buffer.length;) {
    const count = read(long, at, buffer)
    const size = read(long, count.offset, buffer)
    const end = size.offset + Number(size.value)
    if (!buffer.subarray(end, end + 16).equals(sync)) throw new Error("a block doesn't end with the sync marker")
    const raw = buffer.subarray(size.offset, end)
    const data = codec === "deflate" ? inflateRawSync(raw) : raw
    let offset = 0
    for (let i = 0; i < Number(count.value); i++) {
      const record = read(type, offset, data)
      records.push(record.value as Readonly<Record<string, unknown>>)
      offset = record.offset
    }
    if (offset !== data.length) throw new Error("a block holds more than its records")
    at = end + 16
  }
  return { metadata, schema, records }
}

/** Bytes as `avsc` wants them. */
export const bytes = asBuffer
