/** What is kept of accounts and access keys: the bodies of their rows. */

/** A tenant. The row's id is its number, its sealed object the account key. */
export interface AccountRecord {
  readonly name?: string;
  readonly status: 'Active' | 'Suspended';
}

/** An access key. The row's id is the key's, its sealed object the secret, bound to the members here. */
export interface CredentialRecord {
  /** The principal's ARN. */
  readonly principal: string;
  /** As aws:userid gives it: the account's number for its root. */
  readonly principalId: string;
  readonly userName?: string;
  readonly status: 'Active' | 'Inactive';
  /** 0: never. */
  readonly expiresMs: number;
  readonly tags?: Readonly<Record<string, string>>;
}
