/** Objects as rows, and a folder of them as a log, on a real server. */
import { logSuite } from "./logSuite.ts"
import { s3Store } from "./s3Store.ts"
import { sourceSuite } from "./sourceSuite.ts"

sourceSuite("versitygw", s3Store)
logSuite("versitygw", s3Store)
