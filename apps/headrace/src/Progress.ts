/**
 * Progress of anything that takes longer than two seconds: done, share, rate and time left, on standard error.
 *
 * On a terminal one line is written over and over; elsewhere a line every five seconds. What is printed is a pure function of the figures.
 */
import { Clock, Effect } from "effect"

export interface Figures {
  readonly title: string
  readonly unit: string
  readonly done: number
  /** How many there are in all, if that is known. */
  readonly total: number | undefined
  readonly seconds: number
}

const group = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+(?!\d))/g, ",")

const short = (n: number): string =>
  n >= 1e6 ? `${(n / 1e6).toFixed(2)} M` : n >= 1e3 ? `${(n / 1e3).toFixed(1)} k` : n.toFixed(0)

const time = (seconds: number): string => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`)

/** The line that is shown. */
export const format = ({ done, seconds, title, total, unit }: Figures): string => {
  const rate = seconds > 0 ? done / seconds : 0
  const of = total === undefined || total === 0 ? "" : ` of ${group(total)} (${((100 * done) / total).toFixed(0)} %)`
  const left = total === undefined || rate === 0 || done >= total ? "" : `, ${time((total - done) / rate)} left`
  return `${title}: ${group(done)}${of} ${unit}, ${short(rate)}/s${left}`
}

/** The line when it is done. */
export const formatDone = ({ done, seconds, title, unit }: Figures): string =>
  `${title}: ${group(done)} ${unit} in ${seconds.toFixed(1)} s, ${short(seconds > 0 ? done / seconds : 0)}/s`

export interface Progress {
  /** Counts more as done, and shows it when it is time. */
  readonly add: (n: number) => Effect.Effect<void>
  /** Ends the progress; gives the figures of the whole. */
  readonly done: Effect.Effect<{ readonly seconds: number; readonly rate: number }>
}

export interface Options {
  readonly title: string
  readonly unit: string
  readonly total: number | undefined
  /** Show nothing. */
  readonly quiet?: boolean
  /** Where lines go. Default: standard error. */
  readonly write?: (text: string) => void
  readonly terminal?: boolean
}

/** Begins a progress. */
export const make = (options: Options): Effect.Effect<Progress> =>
  Effect.gen(function* () {
    const { quiet = false, terminal = process.stderr.isTTY === true, title, total, unit } = options
    const write = options.write ?? ((text: string) => void process.stderr.write(text))
    const started = yield* Clock.currentTimeMillis
    let done = 0
    let shown = started + 2_000 - (terminal ? 200 : 5_000)
    const figures = (now: number): Figures => ({ title, unit, total, done, seconds: (now - started) / 1000 })
    const add = (n: number) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        done += n
        if (quiet || now - shown < (terminal ? 200 : 5_000)) return
        shown = now
        write(terminal ? `\r\u001b[K${format(figures(now))}` : `${format(figures(now))}\n`)
      })
    const end = Effect.map(Clock.currentTimeMillis, (now) => {
      const f = figures(now)
      if (!quiet && f.seconds >= 2) write(`${terminal ? "\r\u001b[K" : ""}${formatDone(f)}\n`)
      return { seconds: f.seconds, rate: f.seconds > 0 ? done / f.seconds : 0 }
    })
    return { add, done: end }
  })
