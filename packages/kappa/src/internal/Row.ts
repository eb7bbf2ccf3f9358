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

/** The selected columns of record `index` as canonical JSON: decimals in natural units, in the order of the selection. */
export const json = (cursor: Cursor, selected: ReadonlyArray<string>): string => {
  const row = cursor as unknown as Readonly<Record<string, unknown>>
  const out: Record<string, unknown> = {}
  for (const name of selected) out[name] = row[name]
  return JSON.stringify(out)
}
