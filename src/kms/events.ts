/** What befalls keys without a request, for whoever wants to hear of it, in EventBridge's shape. */
import type { Ids } from './ids.ts';
import type { Key } from './key.ts';

export type EventName = 'KMS CMK Rotation' | 'KMS CMK Deletion' | 'KMS Imported Key Material Expiration';

export interface KeyEvent {
  readonly version: '0';
  readonly id: string;
  readonly 'detail-type': EventName;
  readonly source: 'aws.kms';
  readonly account: string;
  /** ISO 8601, whole seconds. */
  readonly time: string;
  readonly region: string;
  readonly resources: readonly string[];
  readonly detail: { readonly 'key-id': string };
}

/** Takes an event and returns at once: nobody waits for a listener, and none makes the teller fail. */
export interface Events {
  tell(event: KeyEvent): void;
}

export function keyEvent(ids: Ids, name: EventName, key: Key, nowMs: number): KeyEvent {
  return {
    version: '0', id: ids.uuid(), 'detail-type': name, source: 'aws.kms', account: key.account,
    time: `${new Date(nowMs).toISOString().slice(0, 19)}Z`, region: key.region, resources: [key.arn], detail: { 'key-id': key.record.keyId },
  };
}
