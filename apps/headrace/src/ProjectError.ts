/** What can be wrong with a project. */
import { ViewError } from "@headrace/kappa"
import { Schema } from "effect"

export class ConfigNotFound extends Schema.TaggedError<ConfigNotFound>()("ConfigNotFound", { file: Schema.String }) {
  override get message() {
    return `there is no "${this.file}": run this in a project's folder, or name it with --project`
  }
}
export class ConfigInvalid extends Schema.TaggedError<ConfigInvalid>()("ConfigInvalid", {
  file: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `"${this.file}" is no valid config: ${this.detail}`
  }
}
/** A secret that the config needs isn't in the environment. */
export class SecretMissing extends Schema.TaggedError<SecretMissing>()("SecretMissing", {
  file: Schema.String,
  variable: Schema.String,
  what: Schema.String
}) {
  override get message() {
    return `"${this.file}" needs ${this.what}: set ${this.variable} in the environment`
  }
}
/** The client library of the driver that the config names can't be loaded. */
export class DriverMissing extends Schema.TaggedError<DriverMissing>()("DriverMissing", {
  driver: Schema.String,
  library: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `the Kafka driver "${this.driver}" can't be loaded (${this.cause instanceof Error ? this.cause.message : String(this.cause)}): install "${this.library}" beside headrace`
  }
}
export class ModuleFailed extends Schema.TaggedError<ModuleFailed>()("ModuleFailed", {
  file: Schema.String,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `"${this.file}" can't be loaded: ${this.detail}`
  }
}
export class NoViews extends Schema.TaggedError<NoViews>()("NoViews", { files: Schema.Array(Schema.String) }) {
  override get message() {
    return `no view is exported from ${this.files.length === 0 ? 'the modules of the config ("views" is empty)' : this.files.join(", ")}: export what View.aggregate gives`
  }
}
export class DuplicateVersion extends Schema.TaggedError<DuplicateVersion>()("DuplicateVersion", {
  view: Schema.String,
  version: Schema.Int,
  files: Schema.Array(Schema.String)
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" is exported twice (${this.files.join(", ")}): give the changed one the next version`
  }
}
export class UnknownView extends Schema.TaggedError<UnknownView>()("UnknownView", {
  view: Schema.String,
  views: Schema.Array(Schema.String)
}) {
  override get message() {
    return `the project exports no view "${this.view}"; it exports ${this.views.join(", ")}`
  }
}
export class UnknownVersion extends Schema.TaggedError<UnknownVersion>()("UnknownVersion", {
  view: Schema.String,
  version: Schema.Int,
  versions: Schema.Array(Schema.Int)
}) {
  override get message() {
    return `the project exports no version ${this.version} of view "${this.view}"; it exports ${this.versions.join(", ")}`
  }
}
/** The store has no such view, or no such version of it. */
export class NotInStore extends Schema.TaggedError<NotInStore>()("NotInStore", {
  view: Schema.String,
  version: Schema.optionalKey(Schema.Int),
  known: Schema.Array(Schema.String)
}) {
  override get message() {
    const what = `${this.version === undefined ? "" : `version ${this.version} of `}view "${this.view}"`
    const known = this.known.length === 0 ? "nothing yet" : this.known.join(", ")
    return `${what} isn't in the store, which holds ${known}: build it with "headrace run" or "headrace replay ${this.view}"`
  }
}
export class StoreNotFound extends Schema.TaggedError<StoreNotFound>()("StoreNotFound", { path: Schema.String }) {
  override get message() {
    return `there is no view store at "${this.path}" yet: "headrace run" makes it`
  }
}
export class NoArchive extends Schema.TaggedError<NoArchive>()("NoArchive", { file: Schema.String }) {
  override get message() {
    return `"${this.file}" names no archive: add archive: { path: "…" } to it`
  }
}
/** No view says what the values of a topic look like. */
export class TopicUndeclared extends Schema.TaggedError<TopicUndeclared>()("TopicUndeclared", {
  topic: Schema.String,
  topics: Schema.Array(Schema.String)
}) {
  override get message() {
    return `no view of the project reads topic "${this.topic}", so its columns aren't known; views read ${this.topics.join(", ")}`
  }
}
/** There is no second version to compare with. */
export class OneVersion extends Schema.TaggedError<OneVersion>()("OneVersion", {
  view: Schema.String,
  version: Schema.Int
}) {
  override get message() {
    return `the store holds one version of view "${this.view}" (${this.version}): build another with "headrace replay ${this.view} --version N"`
  }
}
/** The view has no dead letter at these coordinates. */
export class NoDeadLetter extends Schema.TaggedError<NoDeadLetter>()("NoDeadLetter", {
  view: Schema.String,
  version: Schema.Int,
  partition: Schema.Int,
  offset: Schema.Int
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" has no dead letter at partition ${this.partition} offset ${this.offset}: "headrace dead-letters list ${this.view}" lists them`
  }
}
/** A version was built but not promoted, because it couldn't be compared. */
export class NotPromoted extends Schema.TaggedError<NotPromoted>()("NotPromoted", {
  view: Schema.String,
  version: Schema.Int,
  detail: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    return `version ${this.version} of view "${this.view}" is ready but wasn't promoted, since it couldn't be compared: ${this.detail}. "headrace promote ${this.view} ${this.version}" promotes it without`
  }
}
/** A view that readers use is gone from the project: renamed, or removed. */
export class ViewDisappeared extends Schema.TaggedError<ViewDisappeared>()("ViewDisappeared", {
  view: Schema.String,
  version: Schema.Int,
  views: Schema.Array(Schema.String)
}) {
  override get message() {
    return (
      `view "${this.view}" (version ${this.version}) is in the store and promoted, but the project exports only ${this.views.join(", ")}. ` +
      `If it was renamed, export it under its old name too until its readers have moved; if it is to go, "headrace drop ${this.view} --all"`
    )
  }
}

/** A version ran without the output that it had; what its owner can do about it. */
export class OutputStopped extends Schema.TaggedError<OutputStopped>()("OutputStopped", {
  reason: ViewError.OutputBehind
}) {
  override get message() {
    const { partition, store, stream, topic, version, view } = this.reason
    return (
      `the changes of view "${view}" version ${version} in topic "${topic}" stop before offset ${stream} of partition ${partition}, but the store holds it up to ${store}: ` +
      `it ran without its output, and what changed meanwhile can't be told any more. ` +
      `Name another topic for it as ["output"]["topics"]["${view}.v${version}"] in headrace.config.ts, which begins with all rows; or remove the version ` +
      `("headrace drop ${view} ${version}", or with its view "headrace drop ${view} --all") and run it again, which builds it anew and goes on in the topic`
    )
  }
}
/** A replay would fold a version past the changes that are published of it. */
export class OutputBegun extends Schema.TaggedError<OutputBegun>()("OutputBegun", {
  view: Schema.String,
  version: Schema.Int,
  topic: Schema.String
}) {
  override get message() {
    return `the changes of view "${this.view}" version ${this.version} are in topic "${this.topic}", and a replay writes none: it would fold the version past them. "headrace run ${this.view}" builds it from the same history and writes on; a replay builds the next version`
  }
}

/** The one error of a project. */
export class ProjectError extends Schema.TaggedError<ProjectError>()("ProjectError", {
  reason: Schema.Union([
    ConfigNotFound,
    ConfigInvalid,
    SecretMissing,
    DriverMissing,
    ModuleFailed,
    NoViews,
    DuplicateVersion,
    UnknownView,
    UnknownVersion,
    NotInStore,
    StoreNotFound,
    NoArchive,
    OneVersion,
    NoDeadLetter,
    NotPromoted,
    TopicUndeclared,
    ViewDisappeared,
    OutputStopped,
    OutputBegun
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

export const wrap = (reason: ProjectError["reason"]): ProjectError => new ProjectError({ reason })
