// Calls every export of the addon with wrong arguments of every type, in every place. Prints one line
// of JSON. Run in a process of its own: an abort must be seen.
import { HsmError } from '../../../src/hsm/core.ts';
import { loadAddon } from '../../../src/hsm/addon.ts';

const addon = loadAddon() as unknown as Record<string, (...args: unknown[]) => unknown>;
addon['open']!(HsmError, 0, false);
const partition = addon['partitionEphemeral']!('fuzz') as number;
const session = addon['sessionOpen']!(partition, 1) as number;

const aes = addon['generate']!(session, 0, 0x1f, 256, undefined) as number;
const [ec] = addon['generatePair']!(session, 0, 0x03, 2, undefined, undefined, false) as [number];

const detached = new Uint8Array(8);
structuredClone(detached.buffer, { transfer: [detached.buffer] });
const ResizableBuffer = ArrayBuffer as unknown as new (length: number, options: { maxByteLength: number }) => ArrayBuffer;
const values: readonly (() => unknown)[] = [
  () => undefined, () => null, () => true, () => false, () => 0, () => 1, () => -1, () => 1.5, () => NaN, () => Infinity, () => 2 ** 53, () => 2 ** 32,
  () => 0x1087, () => session, () => partition, () => aes, () => ec, () => 10n, () => '', () => 'text', () => 'x'.repeat(10_000), () => 'nul\0inside', () => '\ud800', () => Symbol('s'), () => ({}), () => [],
  () => [1, 2, 3], () => () => 1, () => new Date(), () => /x/, () => new Map(), () => new Error('e'), () => Promise.resolve(1),
  () => new ArrayBuffer(8), () => new SharedArrayBuffer(8), () => new DataView(new ArrayBuffer(8)), () => Buffer.alloc(0), () => Buffer.alloc(16),
  () => Buffer.alloc(70_000), () => new Uint8Array(16), () => new Uint8Array(new SharedArrayBuffer(16)), () => detached,
  () => new Uint8Array(new ResizableBuffer(16, { maxByteLength: 64 })), () => new Int8Array(4), () => new Uint8ClampedArray(4), () => new Uint16Array(4), () => new Uint32Array(12),
  () => new Uint32Array(0), () => new Int32Array(4), () => new Float32Array(4), () => new Float64Array(4), () => new BigUint64Array(2),
  () => new Proxy(new Uint8Array(4), {}), () => new Proxy({}, { get() { throw new Error('trap'); } }), () => Object.create(null), () => ({ valueOf() { throw new Error('valueOf'); } }),
];
const safe: readonly (() => unknown)[] = [() => session, () => aes, () => ec, () => 1, () => Buffer.alloc(16), () => undefined, () => 'text', () => 0x1087, () => 0x1041, () => true];

/** xorshift: the same calls each time. */
let state = 0x2545f491;
const draw = (n: number): number => {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % n;
};

// Calls that would end the run, not the process: made last, or with wrong arguments only.
const ending = new Set(['close', 'zeroise', 'rootClose', 'open', 'partitionClose', 'sessionClose', 'selfTest', 'selfTestSlow']);
const bad: string[] = [];
const counts = { calls: 0, ok: 0, typeErrors: 0, hsmErrors: 0 };

function judge(name: string, error: unknown): void {
  if (error instanceof HsmError && /^HSM_E_[A-Z0-9_]+$/.test(error.code) && error.message !== '') counts.hsmErrors++;
  else if (error instanceof TypeError) counts.typeErrors++;
  else bad.push(`${name}: ${String(error)}`);
}

const pending: Promise<void>[] = [];
function call(name: string, args: unknown[]): void {
  counts.calls++;
  try {
    const answer = addon[name]!(...args);
    counts.ok++;
    if (answer instanceof Promise) pending.push(answer.then(() => undefined, (error: unknown) => { judge(name, error); }));
  } catch (error) {
    judge(name, error);
  }
}

const rounds = Number(process.argv[2] ?? 40);
for (const name of Object.keys(addon)) {
  if (ending.has(name)) continue;
  const rsaMaking = name.startsWith('generatePair') || name.startsWith('dataKeyPair');
  call(name, []);
  for (let place = 0; place < 16; place++) {
    for (const value of values) {
      const args = Array.from({ length: 16 }, () => safe[draw(safe.length)]!());
      args[place] = value();
      if (rsaMaking) args[2] = 'no';
      call(name, args);
    }
    await Promise.all(pending.splice(0));
  }
  for (let i = 0; i < rounds; i++) call(name, Array.from({ length: draw(20) }, () => values[draw(values.length)]!()));
  await Promise.all(pending.splice(0));
}
for (const name of ending) for (const value of values) if (typeof value() !== 'number' && value() !== undefined && value() !== null && value() !== '' && value() !== 'text' && value() !== '\ud800') {
  if (name !== 'close' && name !== 'rootClose' && name !== 'open') call(name, [value()]);
}
await Promise.all(pending.splice(0));
addon['close']!();
console.log(JSON.stringify({ ...counts, bad: bad.slice(0, 20), badCount: bad.length }));
