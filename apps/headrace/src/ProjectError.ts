/** What can be wrong with a project. */
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

/** The one error of a project. */
export class ProjectError extends Schema.TaggedError<ProjectError>()("ProjectError", {
  reason: Schema.Union([
    ConfigNotFound,
    ConfigInvalid,
    ModuleFailed,
    NoViews,
    DuplicateVersion,
    UnknownView,
    ViewDisappeared
  ])
}) {
  override get message() {
    return this.reason.message
  }
}

export const wrap = (reason: ProjectError["reason"]): ProjectError => new ProjectError({ reason })
