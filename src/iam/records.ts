/** What is kept of accounts, access keys, principals and managed policies: the bodies of their rows. */

/** A tenant. The row's id is its number, its sealed object the account key. */
export interface AccountRecord {
  readonly name?: string;
  /** Only an active account's credentials serve. A deleted one's row stays, without its key: its number is not given again. */
  readonly status: 'Active' | 'Suspended' | 'PendingDeletion' | 'Deleted';
  /** When its waiting period ends. */
  readonly dueMs?: number;
  /** The core releases no plaintext of it but to attested recipients, and takes in no keys in the clear. */
  readonly strict?: boolean;
}

/** An access key. The row's id is the key's, its sealed object the secret, bound to the members here. */
export interface CredentialRecord {
  /** The principal's ARN. */
  readonly principal: string;
  /** As aws:userid gives it: the account's number for its root. A user's row has this id. */
  readonly principalId: string;
  readonly userName?: string;
  /** Acts as this service (`s3.amazonaws.com`). */
  readonly service?: string;
  readonly status: 'Active' | 'Inactive';
  /** 0: never. */
  readonly expiresMs: number;
}

export interface Tag {
  readonly Key: string;
  readonly Value: string;
}

/** Policy documents by name. */
export type Inline = Readonly<Record<string, string>>;

interface Common {
  readonly name: string;
  /** As names are compared and sorted: in lower case. */
  readonly sortName: string;
  /** Begins and ends with a slash. */
  readonly path: string;
  readonly arn: string;
  readonly inline: Inline;
  /** ARNs of managed policies. */
  readonly attached: readonly string[];
}

/** Row ids are the unique ids: AIDA…, AGPA…, AROA… A name is found through the table `name`. */
export interface UserRecord extends Common {
  readonly kind: 'user';
  readonly boundary?: string;
  readonly tags: readonly Tag[];
  /** Row ids of the groups it is in. */
  readonly groups: readonly string[];
  /** Ids of its access keys. */
  readonly keys: readonly string[];
}

export interface GroupRecord extends Common {
  readonly kind: 'group';
  /** How many: whoever joins touches the row, so that a group cannot go while somebody comes. */
  readonly members: number;
}

export interface RoleRecord extends Common {
  readonly kind: 'role';
  readonly boundary?: string;
  readonly tags: readonly Tag[];
  readonly trust: string;
  /** Whom it meant when it was stored. */
  readonly trustIds?: Readonly<Record<string, string>>;
  readonly description?: string;
  readonly maxSessionSeconds: number;
}

interface Principals {
  readonly user: UserRecord;
  readonly group: GroupRecord;
  readonly role: RoleRecord;
}

export type PrincipalRecord = UserRecord | GroupRecord | RoleRecord;
export type PrincipalKind = keyof Principals;
export type RecordOf<K extends PrincipalKind> = Principals[K];

/** Whom a name means: names are unique in an account, whatever their case and path. */
export interface NameRecord {
  readonly to: string;
}

/** How many of each an account has. */
export interface CensusRecord {
  readonly user: number;
  readonly group: number;
  readonly role: number;
  readonly managed: number;
}

/** That one row holds on to another: a user to its group, a principal to a managed policy. */
export interface LinkRecord {
  /** Row id of the group or managed policy. */
  readonly to: string;
  readonly how: 'member' | 'attached' | 'boundary';
  /** The principal's row id. */
  readonly from: string;
}

export interface PolicyVersion {
  readonly id: string;
  readonly text: string;
  readonly createdMs: number;
}

/** A managed policy, in the table `policy` beside the key policies. */
export interface ManagedPolicyRecord {
  readonly kind: 'managed';
  readonly arn: string;
  readonly policyId: string;
  readonly name: string;
  readonly sortName: string;
  readonly path: string;
  readonly description?: string;
  readonly tags: readonly Tag[];
  readonly versions: readonly PolicyVersion[];
  readonly defaultVersion: string;
  /** Of the newest version ever made: numbers are not used twice. */
  readonly lastVersion: number;
  /** How many users, groups and roles it is attached to, and for how many it is the boundary. */
  readonly attachments: number;
  readonly boundaries: number;
}

/* ---- row ids -------------------------------------------------------------------- */

export const nameRowId = (account: string, kind: PrincipalKind, name: string): string => `${account}/${kind}/${name.toLowerCase()}`;
export const policyRowId = (account: string, name: string): string => `managed/${account}/${name.toLowerCase()}`;
export const linkRowId = (to: string, from: string, how: LinkRecord['how']): string => `${to}|${from}|${how}`;
export const censusRowId = (account: string): string => `iam/${account}`;

/** The name that an ARN of a user, role, group or policy ends with. */
export const nameIn = (arn: string): string => arn.slice(arn.lastIndexOf('/') + 1);

export const tagMap = (tags: readonly Tag[]): Readonly<Record<string, string>> => Object.fromEntries(tags.map(({ Key, Value }) => [Key, Value]));
