/** The one error of the harness. `reason` says what happened; its message names the command, image or address and what to do next. */
import * as Schema from "effect/Schema"

/** A program that the harness needs failed, or isn't there. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  command: Schema.String,
  problem: Schema.String,
  output: Schema.String
}) {
  override get message(): string {
    return `"${this.command}" ${this.problem}; run it by hand to see why${tail(this.output)}`
  }
}

/** The server ended instead of becoming ready. */
export class Exited extends Schema.TaggedError<Exited>()("Exited", { bootstrap: Schema.String, log: Schema.String }) {
  override get message(): string {
    return `the server for ${this.bootstrap} ended before it was ready; its log says why${tail(this.log)}`
  }
}

/** The server runs, but didn't answer in time. */
export class NotReady extends Schema.TaggedError<NotReady>()("NotReady", {
  bootstrap: Schema.String,
  seconds: Schema.Finite,
  log: Schema.String
}) {
  override get message(): string {
    return `the server at ${this.bootstrap} didn't answer within ${this.seconds} s; look at its log${tail(this.log)}`
  }
}

/** Docker refused an operation, or doesn't answer. */
export class Docker extends Schema.TaggedError<Docker>()("Docker", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `could not ${this.operation}: ${detail}; check that Docker answers (testcontainers/docker-up.sh starts it)`
  }
}

/** Something that this way of running a server needs isn't on the machine. */
export class Missing extends Schema.TaggedError<Missing>()("Missing", { what: Schema.String, todo: Schema.String }) {
  override get message(): string {
    return `${this.what}; ${this.todo}`
  }
}

/** A file of the harness couldn't be read or written. */
export class Io extends Schema.TaggedError<Io>()("Io", {
  path: Schema.String,
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const detail = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `could not ${this.operation} "${this.path}"${detail}; check the rights and the space there`
  }
}

const Reason = Schema.Union([CommandFailed, Exited, NotReady, Docker, Missing, Io])

/** What the harness fails with. */
export class BrokerError extends Schema.TaggedError<BrokerError>()("BrokerError", { reason: Reason }) {
  override get message(): string {
    return this.reason.message
  }
}

const tail = (text: string): string => {
  const lines = text.trimEnd().split("\n").slice(-30)
  return lines.length === 1 && lines[0] === "" ? "" : `:\n${lines.join("\n")}`
}
