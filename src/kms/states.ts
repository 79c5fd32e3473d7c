/**
 * Key states and what each allows: one table, operations in groups by rule, states across. A cell is
 * `ok` or the refusal that AWS answers there.
 */
import { states as refuse } from './errors.ts';
import type { KeyState } from './records.ts';
import type { AwsError } from './operation.ts';

type Refusal = keyof typeof refusals;
type Cell = 'ok' | Refusal;

const refusals = {
  disabled: refuse.disabled,
  pendingDeletion: refuse.pendingDeletion,
  pendingReplicaDeletion: refuse.pendingReplicaDeletion,
  notPendingDeletion: refuse.notPendingDeletion,
  pendingImport: refuse.pendingImport,
  creating: refuse.creating,
  updating: refuse.updating,
  unavailable: refuse.unavailable,
} as const satisfies Record<string, (arn: string) => AwsError>;

type Row = Readonly<Record<KeyState, Cell>>;

const everywhere: Row = {
  Enabled: 'ok', Disabled: 'ok', PendingImport: 'ok', PendingDeletion: 'ok', Unavailable: 'ok',
  Creating: 'ok', Updating: 'ok', PendingReplicaDeletion: 'ok',
};
const goingAway = { PendingDeletion: 'pendingDeletion', PendingReplicaDeletion: 'pendingReplicaDeletion' } as const;

export const stateTable = {
  /** Everything that uses the key, GetPublicKey included. */
  cryptography: { ...everywhere, ...goingAway, Disabled: 'disabled', PendingImport: 'pendingImport', Unavailable: 'unavailable', Creating: 'creating' },
  createGrant: { ...everywhere, ...goingAway, Disabled: 'disabled', PendingImport: 'pendingImport' },
  cancelDeletion: {
    Enabled: 'notPendingDeletion', Disabled: 'notPendingDeletion', PendingImport: 'notPendingDeletion', Unavailable: 'notPendingDeletion',
    Creating: 'notPendingDeletion', Updating: 'notPendingDeletion', PendingDeletion: 'ok', PendingReplicaDeletion: 'ok',
  },
  scheduleDeletion: { ...everywhere, ...goingAway, Updating: 'updating', Creating: 'creating' },
  enable: { ...everywhere, ...goingAway, PendingImport: 'pendingImport', Updating: 'updating' },
  /** A key pending import has origin EXTERNAL: the operation itself refuses that. */
  automaticRotation: { ...everywhere, ...goingAway, Disabled: 'disabled' },
  rotateNow: { ...everywhere, ...goingAway, Disabled: 'disabled', PendingImport: 'pendingImport', Updating: 'updating', Creating: 'creating' },
  /** Tags, descriptions, new aliases. */
  edit: { ...everywhere, ...goingAway },
  import: { ...everywhere, ...goingAway },
  replicate: { ...everywhere, ...goingAway, Disabled: 'disabled', Creating: 'creating', Updating: 'updating', Unavailable: 'unavailable' },
  any: everywhere,
} as const satisfies Record<string, Row>;

export type StateRule = keyof typeof stateTable;

/** What this state answers to this rule; undefined: it allows. */
export function stateRefusal(rule: StateRule, state: KeyState, arn: string): AwsError | undefined {
  const cell: Cell = stateTable[rule][state];
  return cell === 'ok' ? undefined : refusals[cell](arn);
}
