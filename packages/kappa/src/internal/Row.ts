/**
 * One row object per kernel, moved over the columns of a batch: expressions read records through it without an allocation per record.
 */
import type { Column } from "@headrace/core/Batch"
import * as Decimal from "@headrace/core/Decimal"
import type { TopicSchema } from "@headrace/core/TopicSchema"

/** An expression read a column that the view doesn't select. It fails the view: no record is at fault. */
export class ColumnNotSelected extends Error {
  constructor(name: string) {
    super(`an expression reads the column "${name}", which the view doesn't select`)
    this.name = "ColumnNotSelected"
  }
}

/** The cursor: `index` is the record that the getters read, `columns` the batch's selected columns in their order. */
export interface Cursor {
  index: number
  columns: ReadonlyArray<Column>
}

const nothing: ReadonlyArray<Column> = []

/** A cursor with a getter per declared column. Decimals are given in natural units, as the double nearest to them. */
export const make = (schema: TopicSchema, selected: ReadonlyArray<string>): Cursor => {
  class Row implements Cursor {
    index = 0
    columns = nothing
  }
  for (const column of schema.columns) {
    const at = selected.indexOf(column.name)
    const divisor = column.type.kind === "decimal" ? Decimal.power(column.type.scale) : 0
    const get =
      at < 0
        ? () => {
            throw new ColumnNotSelected(column.name)
          }
        : divisor === 0
          ? function (this: Row) {
              return this.columns[at]![this.index]
            }
          : function (this: Row) {
              const scaled = this.columns[at]![this.index]
              return typeof scaled === "number" ? scaled / divisor : scaled
            }
    Object.defineProperty(Row.prototype, column.name, { get, enumerable: true })
  }
  return new Row()
}

/** Prints the selected columns of the cursor's record as canonical JSON, in the order of the selection; a decimal is its exact text. */
export const printer = (schema: TopicSchema, selected: ReadonlyArray<string>): ((cursor: Cursor) => string) => {
  const scales = selected.map((name) => {
    const type = schema.columns.find((c) => c.name === name)!.type
    return type.kind === "decimal" ? type.scale : undefined
  })
  return ({ columns, index }) => {
    const out: Record<string, unknown> = {}
    for (const [i, name] of selected.entries()) {
      const value = columns[i]![index]
      const scale = scales[i]
      out[name] = scale !== undefined && typeof value === "number" ? Decimal.format(value, scale) : value
    }
    return JSON.stringify(out)
  }
}
