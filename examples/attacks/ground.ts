// What the attacks share: a core to attack, in the laboratory or outside, and numbers.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { addonPath, labAddonPath, type LabAddon } from '../../src/hsm/addon.ts';
import { type Attribute, type KeyHandle, type PartitionHandle, type SessionHandle } from '../../src/hsm/core.ts';
import { loadCore, type NativeCore } from '../../src/hsm/native.ts';

export interface Ground {
  readonly core: NativeCore;
  readonly partition: PartitionHandle;
  readonly session: SessionHandle;
  /** Is this the laboratory? Outside, settings are not there to be made. */
  readonly lab: boolean;
  set(setting: string): void;
}

/** What an attack answers: did it get what it wanted, and how. */
export interface Outcome {
  readonly succeeded: boolean;
  readonly story: string;
}
export type Attack = (ground: Ground) => Outcome | Promise<Outcome>;

export const labIsBuilt = (): boolean => existsSync(labAddonPath);

/** Runs an attack on a core of its own. `settings` are made in the laboratory only. */
export async function attackOn(lab: boolean, settings: readonly string[], attack: Attack): Promise<Outcome> {
  const path = lab ? labAddonPath : addonPath;
  const core = loadCore({ addon: path });
  const addon = createRequire(import.meta.url)(path) as Partial<LabAddon>;
  const set = (setting: string): void => { if (lab) addon.lab?.(setting); };
  try {
    const partition = core.ephemeralPartition('victim');
    const session = core.openSession(partition);
    for (const setting of settings) set(setting);
    return await attack({ core, partition, session, lab, set });
  } finally {
    for (const setting of settings) set(`${setting.split('=')[0] ?? ''}=off`);
    core.close();
  }
}

/** Did the core refuse? The code of its refusal, or what it answered. */
export function asked<T>(call: () => T): { readonly refused?: string; readonly answer?: T } {
  try {
    return { answer: call() };
  } catch (error) {
    return { refused: (error as { readonly code?: string }).code ?? String(error) };
  }
}

export const flag = (type: number, value: boolean): Attribute => [type, value];
export type { Attribute, KeyHandle };

// ---- numbers

export const toNumber = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
export const toBytes = (n: bigint, length: number): Buffer => Buffer.from(n.toString(16).padStart(length * 2, '0'), 'hex');
export const modulo = (a: bigint, n: bigint): bigint => ((a % n) + n) % n;
export const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
export const most = (a: bigint, b: bigint): bigint => (a > b ? a : b);
export const roundUp = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;

export function power(base: bigint, exponent: bigint, n: bigint): bigint {
  let result = 1n;
  let b = modulo(base, n);
  for (let e = exponent; e > 0n; e >>= 1n) {
    if ((e & 1n) === 1n) result = (result * b) % n;
    b = (b * b) % n;
  }
  return result;
}

export function inverse(a: bigint, n: bigint): bigint {
  let [r0, r1, x0, x1] = [n, modulo(a, n), 0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1, x0, x1] = [r1, r0 - q * r1, x1, x0 - q * x1];
  }
  return modulo(x0, n);
}

export function divisor(a: bigint, b: bigint): bigint {
  let [x, y] = [a < 0n ? -a : a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
