/**
 * Kafka's codecs. gzip and zstd are the runtime's (`node:zlib`), snappy and lz4 WebAssembly. Snappy is read in both of its forms, plain and
 * with the frames of Java's `SnappyOutputStream` (xerial), and written plain.
 */
import { lz4Compress, lz4Decompress, snappyCompress, snappyDecompress } from "@platformatic/wasm-utils"
import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib"
import type { Compression } from "../Driver.ts"

/** As they stand in a batch's attributes. */
const codes: Readonly<Record<Compression, number>> = { none: 0, gzip: 1, snappy: 2, lz4: 3, zstd: 4 }

export const codeOf = (compression: Compression): number => codes[compression]

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const compress = (compression: Exclude<Compression, "none">, bytes: Uint8Array): Uint8Array => {
  switch (compression) {
    case "gzip":
      return gzipSync(bytes)
    case "snappy":
      return snappyCompress(asBuffer(bytes))
    case "lz4":
      return lz4Compress(asBuffer(bytes))
    case "zstd":
      return zstdCompressSync(bytes)
  }
}

const xerialMagic = [0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]

const isXerial = (bytes: Uint8Array): boolean => xerialMagic.every((byte, i) => bytes[i] === byte)

const unframe = (bytes: Buffer): Uint8Array => {
  const parts: Array<Buffer> = []
  // The magic, and two version numbers of four bytes each.
  for (let at = 16; at < bytes.length;) {
    const size = bytes.readUInt32BE(at)
    if (at + 4 + size > bytes.length) throw new Error("a snappy frame ends early")
    parts.push(snappyDecompress(bytes.subarray(at + 4, at + 4 + size)))
    at += 4 + size
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/**
 * The bytes of a compressed batch's records; throws when they can't be read. `expected` is about how many: what fits into so many, and a
 * little more, isn't put together from small pieces.
 */
export const decompress = (code: number, bytes: Uint8Array, expected = 0): Uint8Array => {
  const options = { chunkSize: Math.max(16 << 10, Math.ceil(1.1 * expected)) }
  switch (code) {
    case 1:
      return gunzipSync(bytes, options)
    case 2:
      return isXerial(bytes) ? unframe(asBuffer(bytes)) : snappyDecompress(asBuffer(bytes))
    case 3:
      return lz4Decompress(asBuffer(bytes))
    case 4:
      return zstdDecompressSync(bytes, options)
    default:
      throw new Error(`compression ${code} isn't known: upgrade Headrace`)
  }
}
