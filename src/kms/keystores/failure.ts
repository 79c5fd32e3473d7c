/**
 * What can go wrong between us and a custom key store, and what AWS makes of it: a cryptographic
 * operation answers KMSInvalidStateException with the sentence that tells the causes apart; making a
 * key, making or changing a store, and connecting have exceptions and codes of their own. What the other
 * side wrote in its error is never passed on.
 */
import { fail, type ExceptionCode } from '../errors.ts';
import type { AwsError } from '../operation.ts';
import type { ConnectionErrorCode } from '../records.ts';

interface Cause {
  readonly sentence: string;
  /** CreateKey. */
  readonly key: ExceptionCode;
  /** CreateCustomKeyStore, UpdateCustomKeyStore. */
  readonly store: ExceptionCode;
  readonly connection: ConnectionErrorCode;
}

const invalidState = 'CustomKeyStoreInvalidStateException';
const badResponse = 'XksProxyInvalidResponseException';
const unreachable = 'XksProxyUriUnreachableException';

const causes = {
  /* An external key store's proxy, in AWS's words. */
  unreachable: {
    sentence: 'AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If you see this error repeatedly, verify that your external key store proxy is active and is connected to the network, and that its endpoint URI is correct in your external key store.',
    key: invalidState, store: unreachable, connection: 'XKS_PROXY_NOT_REACHABLE',
  },
  tls: {
    sentence: 'AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including its certificate.',
    key: invalidState, store: unreachable, connection: 'XKS_PROXY_INVALID_TLS_CONFIGURATION',
  },
  timeout: {
    sentence: 'AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator.',
    key: invalidState, store: unreachable, connection: 'XKS_PROXY_TIMED_OUT',
  },
  dependencyTimeout: {
    sentence: 'The external key store proxy did not respond to the request in the time allotted. Retry the request. If you see this error repeatedly, report it to your external key store proxy administrator.',
    key: invalidState, store: unreachable, connection: 'XKS_PROXY_TIMED_OUT',
  },
  throttled: {
    sentence: 'The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of your calls using KMS keys in this external key store.',
    key: invalidState, store: unreachable, connection: 'XKS_PROXY_TIMED_OUT',
  },
  credentials: {
    sentence: 'The external key store proxy rejected the request because it could not authenticate AWS KMS. Verify the credentials for your external key store and update if necessary.',
    key: invalidState, store: 'XksProxyIncorrectAuthenticationCredentialException', connection: 'INVALID_CREDENTIALS',
  },
  uriPath: {
    sentence: 'The external key store proxy rejected the request because of an invalid URI path. Verify the URI path for your external key store and update if necessary.',
    key: invalidState, store: 'XksProxyInvalidConfigurationException', connection: 'XKS_PROXY_INVALID_CONFIGURATION',
  },
  denied: {
    sentence: 'The external key store proxy denied access to the operation. Verify that the user and the external key are both authorized for this operation, and try the request again.',
    key: 'KMSInvalidStateException', store: badResponse, connection: 'XKS_PROXY_ACCESS_DENIED',
  },
  unavailable: {
    sentence: 'The external key store proxy is in an unhealthy state. If you see this message repeatedly, notify your external key store proxy administrator.',
    key: invalidState, store: unreachable, connection: 'XKS_PROXY_NOT_REACHABLE',
  },
  internal: {
    sentence: 'The external key store proxy is in an unhealthy state. If you see this message repeatedly, notify your external key store proxy administrator.',
    key: invalidState, store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  malformed: {
    sentence: 'AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, consult your external key store proxy administrator.',
    key: invalidState, store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  unsupported: {
    sentence: 'The external key store proxy rejected the request because it does not support the requested cryptographic operation.',
    key: 'UnsupportedOperationException', store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  keyNotFound: {
    sentence: 'The external key store proxy rejected the request because it could not find the external key.',
    key: 'XksKeyNotFoundException', store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  keyUsage: {
    sentence: 'The external key store proxy rejected the request because the external key does not support the requested operation.',
    key: 'XksKeyInvalidConfigurationException', store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  keyState: {
    sentence: 'The external key store proxy rejected the request because the external key is not enabled in the external key manager.',
    key: 'XksKeyInvalidConfigurationException', store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  ciphertext: {
    sentence: 'The external key store proxy rejected the request because the specified ciphertext or additional authenticated data is corrupted, missing, or otherwise invalid.',
    key: invalidState, store: badResponse, connection: 'XKS_PROXY_INVALID_RESPONSE',
  },
  forbiddenHost: {
    sentence: 'This server may not connect to the host of the XksProxyUriEndpoint.',
    key: invalidState, store: 'XksProxyInvalidConfigurationException', connection: 'XKS_PROXY_INVALID_CONFIGURATION',
  },

  /* A cluster: a module in a process of its own. */
  notConfigured: {
    sentence: 'The CloudHSM cluster of the custom key store is not known to this server.',
    key: invalidState, store: 'CloudHsmClusterNotFoundException', connection: 'CLUSTER_NOT_FOUND',
  },
  noLoader: {
    sentence: 'This server has no pkcs11js, the optional package that loads PKCS#11 modules.',
    key: invalidState, store: 'CloudHsmClusterInvalidConfigurationException', connection: 'INTERNAL_ERROR',
  },
  module: {
    sentence: 'The PKCS#11 module of the CloudHSM cluster cannot be loaded.',
    key: 'CloudHsmClusterInvalidConfigurationException', store: 'CloudHsmClusterInvalidConfigurationException', connection: 'INTERNAL_ERROR',
  },
  noToken: {
    sentence: 'The CloudHSM cluster has no active HSM: its module shows no token of the configured label.',
    key: 'CloudHsmClusterInvalidConfigurationException', store: 'CloudHsmClusterNotActiveException', connection: 'INSUFFICIENT_CLOUDHSM_HSMS',
  },
  password: {
    sentence: 'The KeyStorePassword is not the password of kmsuser.',
    key: invalidState, store: 'CloudHsmClusterInvalidConfigurationException', connection: 'INVALID_CREDENTIALS',
  },
  lockedOut: {
    sentence: 'kmsuser is locked out of the CloudHSM cluster.',
    key: invalidState, store: 'CloudHsmClusterInvalidConfigurationException', connection: 'USER_LOCKED_OUT',
  },
  noUser: {
    sentence: 'The CloudHSM cluster has no kmsuser.',
    key: invalidState, store: 'CloudHsmClusterInvalidConfigurationException', connection: 'USER_NOT_FOUND',
  },
  loggedIn: {
    sentence: 'kmsuser is logged in to the CloudHSM cluster already.',
    key: invalidState, store: 'CloudHsmClusterInvalidConfigurationException', connection: 'USER_LOGGED_IN',
  },
  stopped: {
    sentence: 'The connection to the CloudHSM cluster was lost while the request was under way. Retry the request.',
    key: invalidState, store: 'CloudHsmClusterNotActiveException', connection: 'NETWORK_ERRORS',
  },
  slow: {
    sentence: 'The CloudHSM cluster did not respond in time. Retry the request.',
    key: 'DependencyTimeoutException', store: 'CloudHsmClusterNotActiveException', connection: 'NETWORK_ERRORS',
  },
  keyGone: {
    sentence: 'The key material of the KMS key is not in the CloudHSM cluster.',
    key: invalidState, store: 'CloudHsmClusterInvalidConfigurationException', connection: 'INTERNAL_ERROR',
  },
  refused: {
    sentence: 'The CloudHSM cluster refused the operation.',
    key: 'CloudHsmClusterInvalidConfigurationException', store: 'CloudHsmClusterInvalidConfigurationException', connection: 'INTERNAL_ERROR',
  },
} as const satisfies Record<string, Cause>;

export type FailureCause = keyof typeof causes;

export const failureCauses = Object.keys(causes) as readonly FailureCause[];

/** Trying again helps nobody, and a wrong password has few tries. */
const lasting: ReadonlySet<FailureCause> = new Set(['password', 'lockedOut', 'noUser', 'noLoader', 'notConfigured']);

export class StoreFailure extends Error {
  override readonly name = 'StoreFailure';
  /** `detail` is for the log: a PKCS#11 code, a network error's. Never data, never the other side's words. */
  constructor(readonly reason: FailureCause, readonly detail = '') {
    super(detail === '' ? reason : `${reason} (${detail})`);
  }

  get mayPass(): boolean {
    return !lasting.has(this.reason);
  }

  get connectionCode(): ConnectionErrorCode {
    return causes[this.reason].connection;
  }
}

const told = (at: (cause: Cause) => ExceptionCode) => (error: unknown): unknown =>
  (error instanceof StoreFailure ? fail(at(causes[error.reason]), causes[error.reason].sentence) : error);

/** The exception an operation answers, where a store failed; anything else stays what it is. */
export const inCryptography = told(() => 'KMSInvalidStateException');
export const inCreateKey = told((cause) => cause.key);
export const inStoreChange = told((cause) => cause.store);

/** The proxy opened its layer, and the core does not open what came out: AWS blames ciphertext and context together. */
export const innerRefused = (): AwsError =>
  fail('KMSInvalidStateException', 'The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.');
