/** Measuring side by side: sides alternate, and one JSON object is the result. */

export interface Metric {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly unit: string
}

export interface Result {
  readonly bench: string
  readonly rounds: number
  readonly metrics: Readonly<Record<string, Metric>>
  /** Ours ÷ theirs in the same run; more than 1 is better. */
  readonly ratios: Readonly<Record<string, number>>
  /** Peak resident memory of our process alone, in MB. */
  readonly rss_mb: number
  /** Both sides' results were compared and are equal. */
  readonly checked: boolean
  readonly fingerprints: Readonly<Record<string, string>>
  /** How our process was started, where that matters. */
  readonly flags?: ReadonlyArray<string>
}

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const metric = (values: ReadonlyArray<number>, unit: string): Metric => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
  unit
})

/** The median of the ratios of pairs that were measured one after the other. */
export const ratio = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): number =>
  median(ours.map((v, i) => v / theirs[i]!))

/** The upper quartile of the ratios of pairs. */
export const upperQuartile = (ours: ReadonlyArray<number>, theirs: ReadonlyArray<number>): number => {
  const sorted = ours.map((v, i) => v / theirs[i]!).toSorted((a, b) => a - b)
  const at = 0.75 * (sorted.length - 1)
  const [low, high] = [sorted[Math.floor(at)]!, sorted[Math.ceil(at)]!]
  return low + (high - low) * (at - Math.floor(at))
}

export const round3 = (result: Result): Result => {
  const short = (n: number) => Number(n.toPrecision(4))
  return {
    ...result,
    metrics: Object.fromEntries(
      Object.entries(result.metrics).map(([k, m]) => [
        k,
        { ...m, median: short(m.median), min: short(m.min), max: short(m.max) }
      ])
    ),
    ratios: Object.fromEntries(Object.entries(result.ratios).map(([k, v]) => [k, short(v)])),
    rss_mb: Math.round(result.rss_mb)
  }
}

const time = (seconds: number): string => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`)

/** Progress on standard error: a line a step, with the time left as if the steps to come took as long as those before. */
export class Steps {
  readonly #total: number
  readonly #started = performance.now()
  #done = 0

  constructor(total: number) {
    this.#total = total
  }

  done(what: string): void {
    this.#done++
    const left = ((performance.now() - this.#started) / 1000 / this.#done) * (this.#total - this.#done)
    console.error(`${what}${left === 0 ? "" : ` (step ${this.#done} of ${this.#total}, about ${time(left)} left)`}`)
  }
}
