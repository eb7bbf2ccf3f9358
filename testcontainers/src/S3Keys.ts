/** The key pair that the servers take, and what they take for their region. */

export const accessKeyId = "headrace"
/** Secret only in that it must not show up in an error. */
export const secretAccessKey = "headrace-secret-4f1c"
export const region = "us-east-1"
