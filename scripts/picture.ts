/** `pnpm -s flights | node scripts/picture.ts docs/flights.svg`: the report of the main job as a picture, without the paths of this machine. */
import { readFileSync, writeFileSync } from "node:fs"

const text = readFileSync(0, "utf8")
const begin = text.indexOf("The ten busiest")
const end = text.indexOf("\n  state ")
if (begin < 0 || end < 0) throw new Error("give me the output of npm start on standard input")
const lines = text.slice(begin, end).split("\n")

const [glyph, line, edge, size] = [7.8, 16, 18, 13]
const width = Math.ceil(Math.max(...lines.map((l) => l.length)) * glyph + 2 * edge)
const escape = (s: string) => s.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
const color = (l: string) => (/[▁-█│]/.test(l) ? "#7ee787" : /^\S/.test(l) ? "#79c0ff" : "#e6edf3")
// Every line states its length, so that columns stand under each other in whatever monospaced font there is.
const rows = lines.flatMap((l, i) =>
  l.trim() === ""
    ? []
    : [
        `<text x="${edge}" y="${edge + line * (i + 0.75)}" fill="${color(l)}" textLength="${(l.length * glyph).toFixed(1)}" lengthAdjust="spacingAndGlyphs">${escape(l)}</text>`
      ]
)
writeFileSync(
  process.argv[2]!,
  `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${2 * edge + line * lines.length}" role="img" aria-label="Report of npm start">
<rect width="100%" height="100%" rx="8" fill="#0d1117"/>
<g font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="${size}" xml:space="preserve">
${rows.join("\n")}
</g>
</svg>
`
)
