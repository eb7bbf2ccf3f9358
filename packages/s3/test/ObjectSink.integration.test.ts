/**
 * The sink on a real server: what it promises, random rows and crashes (`HEADRACE_S3_SINK_ROUNDS`, default 6), and SIGKILL at each named point
 * (`HEADRACE_S3_SINK_KILLS` rounds a point, default 1).
 */
import * as S3ObjectStore from "@headrace/s3/S3ObjectStore"
import { Effect } from "effect"
import { access, bucket, environment } from "integration-suite/S3Access"
import { s3Store } from "./s3Store.ts"
import { versitygw } from "./servers.ts"
import { sinkKillSuite } from "./sinkKillSuite.ts"
import { sinkOracle } from "./sinkOracle.ts"
import { sinkSuite } from "./sinkSuite.ts"

// For the writers.
Object.assign(process.env, environment(versitygw))

const place = Effect.map(bucket(versitygw), (name) => ({
  argument: `s3://${name}`,
  store: S3ObjectStore.layer({ ...access(versitygw), bucket: name })
}))

sinkSuite("versitygw", s3Store)
sinkOracle("versitygw", s3Store, Number(process.env["HEADRACE_S3_SINK_ROUNDS"] ?? 6))
sinkKillSuite("versitygw", place, Number(process.env["HEADRACE_S3_SINK_KILLS"] ?? 1))
