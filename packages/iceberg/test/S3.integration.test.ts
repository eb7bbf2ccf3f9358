/** The suites of tables and commits with a real S3 server among their stores. */
import "./Commit.test.ts"
import "./Table.test.ts"
