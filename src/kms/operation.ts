/**
 * An operation is a value: name, IAM action, input shape, resource, body, side by side. The pipeline
 * around it (check, resolve, authorise, run, record) is written once, in service.ts.
 */
import type { Payload, SessionHandle } from '../hsm/core.ts';
import type { Policy } from '../iam/policy.ts';

/** Who calls, as SigV4 found out. */
export interface Caller {
  /** The capability: acts for the caller's account in the core. Closed by the server after the answer. */
  readonly session: SessionHandle;
  readonly account: string;
  /** arn:aws:iam::ACCOUNT:root, …:user/NAME, arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION. */
  readonly arn: string;
  readonly principalId: string;
  readonly accessKeyId: string;
  readonly userName?: string;
  /** Of a role session: the role's ARN, path included. */
  readonly roleArn?: string;
  readonly tags: Readonly<Record<string, string>>;
  /** Service principal acting, e.g. s3.amazonaws.com (kms:ViaService). */
  readonly viaService?: string;
  /** The caller is a service itself, acting for nobody: `s3.amazonaws.com`. */
  readonly service?: string;
  /** What else the caller's credentials prove: `aws:SourceArn`, `aws:MultiFactorAuthPresent` and the like. */
  readonly facts?: Readonly<Record<string, string | readonly string[]>>;
  /** Of a session: what its maker left of the principal's rights: one of them must allow. */
  readonly sessionPolicies?: readonly Policy[];
  /** Keys of the tags that the next session in a chain of roles inherits. */
  readonly transitiveTags?: readonly string[];
}

/** One request, after transport and before any rule. Knows nothing of HTTP. */
export interface ServiceRequest {
  /** From X-Amz-Target, e.g. `Encrypt`. */
  readonly operation: string;
  readonly caller: Caller;
  readonly region: string;
  readonly requestId: string;
  readonly sourceIp: string;
  readonly userAgent: string;
  readonly secureTransport: boolean;
  /** JSON.parse of the cut body: blob members are indexes into `blobs`. */
  readonly input: unknown;
  /** Views into one Payload; released by the server after the answer has left. */
  readonly blobs: readonly Buffer[];
}

/** A value of an answer that is bytes: public (Buffer) or secret (Payload); rendered as base64. */
export type Bytes = Buffer | Payload;

export type AnswerValue = string | number | boolean | Bytes | undefined | readonly AnswerValue[] | { readonly [member: string]: AnswerValue };
export type Answer = Readonly<Record<string, AnswerValue>>;

/** What leaves: rendered by server/json11.ts into one Buffer; payloads are released after it has left. */
export type ServiceAnswer =
  | { readonly ok: true; readonly body: Answer }
  | { readonly ok: false; readonly error: AwsError };

/** One class for every AWS exception; the table of codes, statuses and sentences is errors.ts. */
export class AwsError extends Error {
  constructor(
    /** e.g. `NotFoundException`. */
    readonly code: string,
    readonly status: number,
    /** Undefined: AWS sends no message member with this one. */
    readonly sentence: string | undefined,
    /** Says of another account's resource neither that it is there nor that it is not: the door answers it at a fixed time. */
    readonly hiding = false,
  ) {
    super(sentence ?? code);
    this.name = code;
  }
}
