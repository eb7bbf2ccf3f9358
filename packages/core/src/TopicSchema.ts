/**
 * The schema of a topic's values as columns: an Effect `Schema.Struct` (or `Schema.Class`) of plain fields, read once into a list of
 * named, typed columns. Validity belongs to this schema as a whole: a record that is invalid for it is a dead letter for every view.
 */
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import { maxScale } from "./Decimal.ts"
import type { ValueType } from "./ViewStore.ts"

/** A column's type: what a view store holds, and floating-point numbers, which can be filtered and shown but not summed. */
export type ColumnType = ValueType | { readonly kind: "double" }

/** One declared field. */
export interface ColumnSpec {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
  /** A check beyond the type (a literal set, a length, a pattern), or `undefined`. */
  readonly check: ((value: unknown) => boolean) | undefined
}

/** Declared columns and the fingerprint of their types and checks. */
export interface TopicSchema {
  readonly columns: ReadonlyArray<ColumnSpec>
  readonly fingerprint: string
}

const annotation = "headrace/column"

/** An exact decimal of `scale` places, such as money: `decimal(2)`. In JSON a number or a text; in expressions a `number`. */
export const decimal = (scale: number): Schema.Number => {
  if (!Number.isInteger(scale) || scale < 0 || scale > maxScale)
    throw new RangeError(`a decimal's scale is 0 to ${maxScale}, got ${scale}`)
  return Schema.Number.annotate({ [annotation]: { kind: "decimal", scale } })
}

/** An instant. In JSON epoch milliseconds or an ISO-8601 text with a zone; in expressions epoch milliseconds. */
export const instant: Schema.Number = Schema.Number.annotate({ [annotation]: { kind: "instant" } })

/** The shape that {@link make} takes: anything with struct fields. */
export interface StructLike {
  readonly fields: Schema.Struct.Fields
}

/** How a check is named in the fingerprint. */
interface CheckName {
  readonly id: string
  readonly payload: unknown
}

interface Check {
  readonly annotations?: { readonly representation?: CheckName; readonly identifier?: string } | undefined
  /** Of a group of checks. */
  readonly checks?: ReadonlyArray<Check>
}

interface Node {
  readonly _tag: string
  readonly annotations?: Readonly<Record<string, unknown>> | undefined
  readonly checks?: ReadonlyArray<Check> | undefined
  readonly types?: ReadonlyArray<Node>
  readonly literal?: unknown
  readonly encoding?: unknown
  readonly context?: { readonly isOptional: boolean } | undefined
}

/** A set of literals is tested as one; anything else by its schema. */
const checkOf = (field: Schema.Schema<unknown>, node: Node): ((value: unknown) => boolean) => {
  const members = node._tag === "Union" ? (node.types ?? []) : [node]
  if (
    members.some((m) => m._tag !== "Literal" || m.checks !== undefined) ||
    (node._tag === "Union" && node.checks !== undefined)
  )
    return Schema.is(field)
  const literals = new Set(members.map((m) => m.literal))
  return (value) => literals.has(value)
}

interface Base {
  readonly type: ColumnType
  readonly nullable: boolean
  readonly checked: boolean
  readonly print: string
}

const isColumnType = (u: unknown): u is ColumnType => Predicate.hasProperty(u, "kind")

const refuse = (name: string, what: string): never => {
  throw new TypeError(`field "${name}" can't be a column: ${what}`)
}

const usable = "Use String, Number, Int, Boolean, literals, decimal(scale) or instant, or null of these"

/** Names of all checks. A function can't be told from another, so one without a name would let an archive be read under the wrong check. */
const namesOf = (name: string, checks: ReadonlyArray<Check>): ReadonlyArray<CheckName> =>
  checks.flatMap(({ annotations, checks: group }) => {
    if (annotations?.representation !== undefined) return [annotations.representation]
    if (annotations?.identifier !== undefined) return [{ id: `named/${annotations.identifier}`, payload: null }]
    return group === undefined
      ? refuse(
          name,
          'one of its checks is a function without a name. Name it: Schema.makeFilter(…, { identifier: "positive, 1" }), and anew when it changes'
        )
      : namesOf(name, group)
  })

const baseOf = (name: string, node: Node): Base => {
  if (node.encoding !== undefined) refuse(name, `it has a transformation. ${usable}`)
  const declared = node.annotations?.[annotation]
  const checks = namesOf(name, node.checks ?? [])
  // JSON has no other numbers, so this check says nothing more than the type.
  const plain = new Set(["effect/schema/isInt", "effect/schema/isFinite"])
  const isInt = checks.some((c) => c.id === "effect/schema/isInt")
  const others = checks.filter((c) => !plain.has(c.id))
  const of = (type: ColumnType): Base => ({
    type,
    nullable: false,
    checked: others.length > 0,
    print: JSON.stringify([type, others.map((c) => [c.id, c.payload])])
  })
  if (isColumnType(declared)) return of(declared)
  switch (node._tag) {
    case "String":
      return of({ kind: "string" })
    case "Boolean":
      return of({ kind: "boolean" })
    case "Number":
      return of({ kind: isInt ? "integer" : "double" })
    case "Literal": {
      const kind =
        typeof node.literal === "string"
          ? "string"
          : typeof node.literal === "boolean"
            ? "boolean"
            : Number.isSafeInteger(node.literal)
              ? "integer"
              : refuse(name, `its literal is neither text, boolean nor integer. ${usable}`)
      return { type: { kind }, nullable: false, checked: true, print: JSON.stringify([kind, node.literal]) }
    }
    case "Union": {
      const members = node.types ?? []
      const parts = members.filter((m) => m._tag !== "Null" && m._tag !== "Undefined").map((m) => baseOf(name, m))
      const first = parts[0] ?? refuse(name, `it is never anything but null. ${usable}`)
      if (parts.some((p) => JSON.stringify(p.type) !== JSON.stringify(first.type)))
        refuse(name, `it is a union of several types. ${usable}`)
      return {
        type: first.type,
        nullable: parts.length < members.length,
        checked: parts.some((p) => p.checked) || others.length > 0,
        print: JSON.stringify([parts.map((p) => p.print), others])
      }
    }
    default:
      return refuse(name, `its schema is ${node._tag}. ${usable}`)
  }
}

/** Reads a struct's fields as columns. Throws a `TypeError` that names the field when one can't be a column. */
export const make = (struct: StructLike): TopicSchema => {
  const columns: Array<ColumnSpec> = []
  const prints: Array<string> = []
  for (const [name, field] of Object.entries(struct.fields)) {
    if (name.startsWith("__")) refuse(name, "names that begin with __ are the archive's")
    if (name in {}) refuse(name, "every JavaScript object has a property of that name")
    const ast = field.ast as Node
    const base = baseOf(name, ast)
    const nullable = base.nullable || ast.context?.isOptional === true
    columns.push({
      name,
      type: base.type,
      nullable,
      check: base.checked ? checkOf(field as Schema.Schema<unknown>, ast) : undefined
    })
    prints.push(JSON.stringify([name, base.print, nullable]))
  }
  if (columns.length === 0) throw new TypeError("a topic's schema needs at least one field")
  return { columns, fingerprint: prints.join("\n") }
}
