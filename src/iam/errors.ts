/** What IAM and STS refuse, in AWS's words. */
export type IamCode = keyof typeof statuses;

const statuses = {
  AccessDenied: 403,
  DeleteConflict: 409,
  EntityAlreadyExists: 409,
  EntityTemporarilyUnmodifiable: 409,
  InvalidClientTokenId: 403,
  InvalidInput: 400,
  LimitExceeded: 409,
  MalformedPolicyDocument: 400,
  NoSuchEntity: 404,
  PackedPolicyTooLarge: 400,
  ValidationError: 400,
} as const;

export class IamError extends Error {
  override readonly name = 'IamError';
  readonly status: number;
  constructor(
    readonly code: IamCode, sentence: string,
    /** Says of another account's role neither that it is there nor that it is not: the door answers it at a fixed time. */
    readonly hiding = false,
  ) {
    super(sentence);
    this.status = statuses[code];
  }
}

const title = (kind: string): string => kind.charAt(0).toUpperCase() + kind.slice(1);

export const refused = {
  noSuch: (kind: string, name: string) => new IamError('NoSuchEntity', `The ${kind} with name ${name} cannot be found.`),
  noPolicy: (arn: string) => new IamError('NoSuchEntity', `Policy ${arn} was not found.`),
  notAttachable: (arn: string) => new IamError('NoSuchEntity', `Policy ${arn} does not exist or is not attachable.`),
  noVersion: (arn: string, version: string) => new IamError('NoSuchEntity', `Policy ${arn} version ${version} does not exist or is not attachable.`),
  noKey: (id: string) => new IamError('NoSuchEntity', `The Access Key with id ${id} cannot be found.`),
  exists: (kind: string, name: string) => new IamError('EntityAlreadyExists', `${title(kind)} with name ${name} already exists.`),
  policyExists: (name: string) => new IamError('EntityAlreadyExists', `A policy called ${name} already exists. Duplicate names are not allowed.`),
  conflict: (first: string) => new IamError('DeleteConflict', `Cannot delete entity, must ${first} first.`),
  quota: (name: string, most: number) => new IamError('LimitExceeded', `Cannot exceed quota for ${name}: ${most}`),
  malformed: (sentence: string) => new IamError('MalformedPolicyDocument', sentence),
  invalid: (sentence: string) => new IamError('ValidationError', sentence),
  denied: (sentence: string) => new IamError('AccessDenied', sentence),
  hidden: (sentence: string) => new IamError('AccessDenied', sentence, true),
};
