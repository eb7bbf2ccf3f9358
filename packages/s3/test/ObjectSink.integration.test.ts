/** The sink on a real server. */
import { s3Store } from "./s3Store.ts"
import { sinkSuite } from "./sinkSuite.ts"

sinkSuite("versitygw", s3Store)
