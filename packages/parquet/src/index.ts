export * as ColumnReader from "./ColumnReader.ts"
export * as ColumnWriter from "./ColumnWriter.ts"
export * as Field from "./Field.ts"
export * as ParquetError from "./ParquetError.ts"
