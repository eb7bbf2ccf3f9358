/** The real servers of the integration suite. */
const endpointOf = (name: string): string => {
  const endpoint = process.env[name]
  if (endpoint === undefined) throw new Error(`${name} isn't set; run this file by pnpm test:integration s3`)
  return endpoint
}

export const versitygw = endpointOf("HEADRACE_S3_VERSITYGW")
export const s3proxy = endpointOf("HEADRACE_S3_S3PROXY")
