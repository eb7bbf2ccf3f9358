/** Checked access to decoded Avro records. Every function throws an `Error` that names the field. */
export type Raw = Readonly<Record<string, unknown>>

const wrong = (field: string): never => {
  throw new Error(`the field "${field}" is missing or of another type`)
}

export const record = (raw: Raw, field: string): Raw => {
  const value = raw[field]
  return typeof value === "object" && value !== null ? (value as Raw) : wrong(field)
}

export const string = (raw: Raw, field: string): string => {
  const value = raw[field]
  return typeof value === "string" ? value : wrong(field)
}

/** A safe integer. */
export const integer = (raw: Raw, field: string): number => {
  const value = raw[field]
  return typeof value === "number" && Number.isSafeInteger(value) ? value : wrong(field)
}

/** A safe integer, or the fallback where it is null or the writer's schema hasn't got it. */
export const integerOr = <A>(raw: Raw, field: string, fallback: A): number | A =>
  raw[field] === undefined || raw[field] === null ? fallback : integer(raw, field)

/** An id: any 64-bit integer. */
export const idOr = <A>(raw: Raw, field: string, fallback: A): number | bigint | A => {
  const value = raw[field]
  return typeof value === "bigint" ? value : integerOr(raw, field, fallback)
}

export const boolean = (raw: Raw, field: string): boolean => {
  const value = raw[field]
  return typeof value === "boolean" ? value : wrong(field)
}

/** A copy of the bytes, or null. */
export const bytesOrNull = (raw: Raw, field: string): Uint8Array | null => {
  const value = raw[field]
  if (value === undefined || value === null) return null
  return value instanceof Uint8Array ? new Uint8Array(value) : wrong(field)
}

export const arrayOrNull = (raw: Raw, field: string): ReadonlyArray<unknown> | null => {
  const value = raw[field]
  if (value === undefined || value === null) return null
  return Array.isArray(value) ? value : wrong(field)
}

/** Iceberg's maps with integer keys: arrays of key and value records. */
export const entries = <A>(raw: Raw, field: string, value: (entry: Raw, field: string) => A): ReadonlyMap<number, A> =>
  new Map(
    (arrayOrNull(raw, field) ?? []).map(
      (entry) => [integer(entry as Raw, "key"), value(entry as Raw, "value")] as const
    )
  )
