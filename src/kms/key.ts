/** A key as operations see it: its row, its names, what it can do. */
import { keyArn } from '../iam/arn.ts';
import { usage as refuse } from './errors.ts';
import { currentMaterial, type KeyRecord, type KeyRow, type KeyState, type Material } from './records.ts';
import { specs, type Spec } from './specs.ts';

export class Key {
  readonly row: KeyRow;
  readonly arn: string;
  /** Its custom key store is not connected. */
  readonly #away: boolean;

  constructor(row: KeyRow, away = false) {
    this.row = row;
    this.#away = away;
    this.arn = keyArn(row.region, row.account, row.body.keyId);
  }

  get record(): KeyRecord { return this.row.body; }
  get id(): string { return this.row.id; }
  get account(): string { return this.row.account; }
  get region(): string { return this.row.region; }
  /** What the record says, unless what the key stands on is out of reach; that it goes away stays said. */
  get state(): KeyState {
    const { state } = this.row.body;
    return this.#away && (state === 'Enabled' || state === 'Disabled') ? 'Unavailable' : state;
  }

  get spec(): Spec { return specs[this.row.body.spec]; }

  /** The material new ciphertexts and signatures are made with. */
  get material(): Material | undefined { return currentMaterial(this.row.body); }

  get isPrimary(): boolean { return this.record.multiRegion?.primary === this.region; }
  get isReplica(): boolean { return this.record.multiRegion !== undefined && !this.isPrimary; }

  requireAlgorithm(algorithm: string, offered: readonly string[]): void {
    if (!offered.includes(algorithm)) throw refuse.wrongAlgorithm(algorithm, this.record.spec);
  }
}
