/**
 * What is kept of external key stores. A proxy is a path with credentials of its own; keys belong to the
 * account, and each says which proxies serve it.
 */

/** The row's id is {@link proxyRowId}. */
export interface XksProxyRecord {
  /** Without slashes at its ends; empty: none. */
  readonly prefix: string;
  /** Ids of its access keys: at most {@link credentialsMost}. */
  readonly credentials: readonly string[];
}

/** An access key of a proxy, good for nothing else. The row's id is the key's, its sealed object the secret. */
export interface XksCredentialRecord {
  readonly prefix: string;
}

export type XksUse = 'ENCRYPT' | 'DECRYPT';

/** An AES-256 key. Its sealed object may do what `uses` says, and no more. */
export interface XksKeyRecord {
  /** The external key's id, as the KMS names it. */
  readonly keyId: string;
  /** What the sealed object is bound to. */
  readonly objectId: string;
  readonly uses: readonly XksUse[];
  readonly enabled: boolean;
  /** Prefixes of the proxies that serve it. */
  readonly proxies: readonly string[];
}

/** Two, so that one can be taken into use before the other goes. */
export const credentialsMost = 2;

/** The end of every proxy's path. */
export const apiPath = '/kms/xks/v1';

export const proxyRowId = (prefix: string): string => `/${prefix}`;
export const keyRowId = (account: string, keyId: string): string => `${account}/${keyId}`;
/** As the KMS is told it (XksProxyUriPath). */
export const uriPath = (prefix: string): string => `${prefix === '' ? '' : `/${prefix}`}${apiPath}`;

/** The KMS takes paths of at most 128 characters. */
export const isPrefix = (text: string): boolean => /^(?:[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]+)*)?$/.test(text) && uriPath(text).length <= 128;
export const isKeyId = (text: string): boolean => /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}$/.test(text);

/** Who a proxy's credentials act as, in the core and in the trail. */
export const principalOf = (account: string, prefix: string): string => `arn:aws:iam::${account}:xks-proxy/${prefix}`;
export const keyArn = (account: string, keyId: string): string => `arn:aws:xks-proxy::${account}:key/${keyId}`;
