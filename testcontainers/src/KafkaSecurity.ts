/** Broker settings that make clients speak TLS, log in, and have rights: pure. They secure the clients' listener; the broker's own stay plain. */
import type { Pair } from "./Certificates.ts"
import type { Options } from "./Kafka.ts"

export interface TlsOptions {
  readonly broker: Pair
  /** The authority of clients' certificates, which they must have then. */
  readonly clients?: string
}

export interface LoginOptions {
  /** Passwords by name, for PLAIN. */
  readonly users: Readonly<Record<string, string>>
  readonly mechanisms: ReadonlyArray<"PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512" | "OAUTHBEARER">
  /** How long a login lasts. Default: as the connection. */
  readonly sessionMillis?: number
}

export interface Security {
  readonly tls?: TlsOptions
  readonly login?: LoginOptions
  /** Principals with every right, such as `User:admin`; all others have those of ACLs. Default: everybody has every right. */
  readonly superUsers?: ReadonlyArray<string>
}

/** A PEM text in a line of a properties file. */
const line = (pem: string): string => pem.trim().replaceAll("\n", "\\n")

const tlsSettings = ({ broker, clients }: TlsOptions) => ({
  "ssl.keystore.type": "PEM",
  "ssl.keystore.certificate.chain": line(broker.certificate),
  "ssl.keystore.key": line(broker.key),
  ...(clients === undefined
    ? {}
    : {
        "ssl.client.auth": "required",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": line(clients)
      })
})

const security = "org.apache.kafka.common.security"

const loginSettings = ({ mechanisms, sessionMillis, users }: LoginOptions) => {
  const plain = Object.entries(users).map(([name, password]) => `user_${name}="${password}"`)
  // Tokens without a signature are Kafka's default, for tests.
  const modules = {
    PLAIN: `${security}.plain.PlainLoginModule required ${plain.join(" ")};`,
    "SCRAM-SHA-256": `${security}.scram.ScramLoginModule required;`,
    "SCRAM-SHA-512": `${security}.scram.ScramLoginModule required;`,
    OAUTHBEARER: `${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";`
  }
  return {
    "sasl.enabled.mechanisms": mechanisms.join(","),
    ...Object.fromEntries(
      mechanisms.map((name) => [`listener.name.plaintext.${name.toLowerCase()}.sasl.jaas.config`, modules[name]])
    ),
    ...(sessionMillis === undefined ? {} : { "connections.max.reauth.ms": `${sessionMillis}` })
  }
}

/** How to start a broker that is secured so. */
export const options = ({ login, superUsers, tls }: Security): Options => {
  const protocol = `${login === undefined ? "" : "SASL_"}${tls === undefined ? "PLAINTEXT" : "SSL"}`
  return {
    login: login !== undefined,
    tls: tls !== undefined,
    settings: {
      "listener.security.protocol.map": `PLAINTEXT:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
      ...(tls === undefined ? {} : tlsSettings(tls)),
      ...(login === undefined ? {} : loginSettings(login)),
      ...(superUsers === undefined
        ? {}
        : {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            // The broker itself comes in over its plain listeners.
            "super.users": ["User:ANONYMOUS", ...superUsers].join(";")
          })
    }
  }
}
