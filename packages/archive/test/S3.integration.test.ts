/** The suites of the archive with a real S3 server among its places. */
import "./Archiver.test.ts"
import "./OneLog.test.ts"
