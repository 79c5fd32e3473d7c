/** The figures this project holds itself to: what was measured, the floor, and whether it is reached. */
import type { Result } from './measure.ts';
import { rawName } from './pkcs11.ts';

export interface SpeedRow {
  readonly figure: string;
  readonly measured: string;
  readonly floor: string;
  readonly verdict: 'pass' | 'short' | 'not available';
  /** The A/A control of the case it comes from: far from 1.00, the verdict is the machine's. */
  readonly control?: number;
}

interface Value {
  readonly value: number;
  readonly text: string;
  readonly control: number;
}

type Results = readonly Result[];

interface Goal {
  readonly figure: string;
  readonly floor: number;
  readonly unit: 'x' | 'share' | 'us';
  /** Small is good: a cost. */
  readonly atMost?: boolean;
  value(results: Results): Value | string;
}

const unmeasured = 'not measured in this run';

const two = (n: number): string => n.toFixed(n < 10 ? 2 : 1);

const caseOf = (results: Results, name: string): Result | undefined => results.find((r) => r.name === name);

/** Cost of `other` over ours. */
function times(name: string, other: string): Goal['value'] {
  return (results) => {
    const result = caseOf(results, name);
    const ratio = result?.ratios.find((r) => r.other === other);
    if (result === undefined || ratio === undefined || result.figures[0]?.subject.startsWith('strongroom') !== true) return whyNot(result, other);
    return { value: ratio.median, text: `${two(ratio.median)}x (${two(ratio.low)}-${two(ratio.high)})`, control: result.control.median };
  };
}

/** Cost of the cheapest peer over ours. */
function bestPeer(name: string): Goal['value'] {
  return (results) => {
    const result = caseOf(results, name);
    const peers = result?.ratios.filter((r) => r.other !== rawName) ?? [];
    if (result === undefined || peers.length === 0) return whyNot(result, 'a peer');
    const best = peers.reduce((a, b) => (b.median < a.median ? b : a));
    return times(name, best.other)(results) instanceof Object ? { value: best.median, text: `${two(best.median)}x ${best.other} (${two(best.low)}-${two(best.high)})`, control: result.control.median } : 'ours was not measured';
  };
}

/** How much of our cost is the limit's. */
function shareOf(name: string, limit: string): Goal['value'] {
  return (results) => {
    const found = times(name, limit)(results);
    return typeof found === 'string' ? found : { ...found, text: found.text.replaceAll('x', '') };
  };
}

/** One figure of a subject, in microseconds of CPU. */
function micros(name: string, subject: string): Goal['value'] {
  return (results) => {
    const result = caseOf(results, name);
    const cpu = result?.figures.find((f) => f.subject === subject)?.cpuMedian;
    if (result === undefined || cpu === undefined || cpu === null) return whyNot(result, subject);
    return { value: cpu / 1e3, text: `${two(cpu / 1e3)} us`, control: result.control.median };
  };
}

/** Ratio of two subjects of one case, as the case gives it or upside down. */
function within(name: string, subject: RegExp, inverse = false): Goal['value'] {
  return (results) => {
    const result = caseOf(results, name);
    const ratio = result?.ratios.find((r) => subject.test(r.other));
    if (result === undefined || ratio === undefined) return whyNot(result, 'it');
    const value = inverse ? 1 / ratio.median : ratio.median;
    return { value, text: `${two(value)} (${ratio.other}${ratio.by === 'wall' ? ', wall' : ''})`, control: result.control.median };
  };
}

function whyNot(result: Result | undefined, subject: string): string {
  if (result === undefined) return unmeasured;
  return result.missing.find((m) => m.name === subject)?.why ?? `no ${subject} here`;
}

const p11 = (name: string): string => `PKCS#11 ${name}`;
const kms = (name: string): string => `KMS ${name}, 16 connections`;
const asWritten = 'node:crypto as people write it';
const minimal = 'node:crypto minimal (fixed IV)';

const goals: readonly Goal[] = [
  { figure: 'PKCS#11 AES-256-GCM 64 B against NSS', floor: 3, unit: 'x', value: times(p11('AES-256-GCM seal 64 B'), 'NSS softokn') },
  { figure: 'PKCS#11 AES-256-GCM 64 B against SoftHSM2', floor: 40, unit: 'x', value: times(p11('AES-256-GCM seal 64 B'), 'SoftHSM2') },
  { figure: '1 MiB against NSS', floor: 2.4, unit: 'x', value: times(p11('AES-256-GCM seal 1 MiB'), 'NSS softokn') },
  { figure: '1 MiB against SoftHSM2', floor: 9.5, unit: 'x', value: times(p11('AES-256-GCM seal 1 MiB'), 'SoftHSM2') },
  { figure: '1 MiB against Kryoptic', floor: 0.95, unit: 'x', value: times(p11('AES-256-GCM seal 1 MiB'), 'Kryoptic') },
  { figure: 'ECDSA P-256 sign against the best peer', floor: 1.7, unit: 'x', value: bestPeer(p11('P-256 sign')) },
  { figure: 'P-384 sign against the best peer', floor: 4, unit: 'x', value: bestPeer(p11('P-384 sign')) },
  { figure: 'RSA-2048 sign against the best peer', floor: 1.6, unit: 'x', value: bestPeer(p11('RSA-2048 sign')) },
  { figure: 'HMAC-SHA-256 64 B against the best peer', floor: 2, unit: 'x', value: bestPeer(p11('HMAC-SHA-256 64 B')) },
  { figure: 'get attribute against the best peer', floor: 2, unit: 'x', value: bestPeer(p11('get an attribute')) },
  { figure: 'open and close a session against the best peer', floor: 3, unit: 'x', value: bestPeer(p11('open and close a session')) },
  { figure: 'share of raw AWS-LC, P-256 sign', floor: 0.95, unit: 'share', value: shareOf(p11('P-256 sign'), rawName) },
  { figure: 'share of raw AWS-LC, RSA-2048 sign', floor: 0.95, unit: 'share', value: shareOf(p11('RSA-2048 sign'), rawName) },
  { figure: 'share of raw AWS-LC, GCM 16 KiB', floor: 0.93, unit: 'share', value: shareOf(p11('AES-256-GCM seal 16 KiB'), rawName) },
  { figure: 'share of raw AWS-LC, GCM 1 MiB', floor: 0.93, unit: 'share', value: shareOf(p11('AES-256-GCM seal 1 MiB'), rawName) },
  { figure: 'share of raw AWS-LC, GCM 64 B', floor: 0.35, unit: 'share', value: shareOf(p11('AES-256-GCM seal 64 B'), rawName) },
  { figure: 'find by label among 10,000 objects', floor: 15, unit: 'us', atMost: true, value: micros(p11('find by label among 10000 objects'), 'strongroom') },
  { figure: 'find by label among 100,000 objects', floor: 15, unit: 'us', atMost: true, value: micros(p11('find by label, strongroom, by objects'), '100000 objects') },
  { figure: 'find: cost(100,000)/cost(1,000)', floor: 2, unit: 'x', atMost: true, value: growth },
  { figure: 'fresh process ready with 10,000 token objects against SoftHSM2', floor: 20, unit: 'x', value: times(p11('fresh process ready with 10000 token objects'), 'SoftHSM2') },
  { figure: 'two threads against one, P-256 sign, one key', floor: 1.85, unit: 'x', value: within(p11('P-256 sign, strongroom, by threads'), /^2 threads, one key/, true) },
  { figure: 'two threads against one, GCM 64 B, one key', floor: 1.85, unit: 'x', value: within(p11('AES-256-GCM seal 64 B, strongroom, by threads'), /^2 threads, one key/, true) },
  { figure: 'two threads against one, GCM 64 B, a key each', floor: 1.85, unit: 'x', value: within(p11('AES-256-GCM seal 64 B, strongroom, by threads'), /^2 threads, a key each/, true) },
  { figure: 'JS encryptInto 64 B against node:crypto as people write it', floor: 20, unit: 'x', value: times('AES-256-GCM 64 B', asWritten) },
  { figure: 'JS encryptInto 64 B against minimal node:crypto', floor: 10, unit: 'x', value: times('AES-256-GCM 64 B', minimal) },
  { figure: 'JS batch of 256, a message, against node:crypto as people write it', floor: 40, unit: 'x', value: times('AES-256-GCM 64 B, batch of 256, a message', asWritten) },
  { figure: 'JS P-256 sign against crypto.sign', floor: 1.4, unit: 'x', value: times('P-256 sign', 'crypto.sign') },
  ...['Encrypt', 'GenerateDataKey'].flatMap((operation): Goal[] => [
    { figure: `KMS ${operation} against local-kms`, floor: 1.6, unit: 'x', value: times(kms(operation), 'local-kms') },
    { figure: `KMS ${operation} against moto`, floor: 45, unit: 'x', value: times(kms(operation), 'moto') },
    { figure: `KMS ${operation}, share of a bare node:http server`, floor: 0.5, unit: 'share', value: shareOf(kms(operation), 'bare node:http') },
  ]),
  { figure: 'KMS Sign P-256 against local-kms', floor: 1.8, unit: 'x', value: times(kms('Sign P-256'), 'local-kms') },
  { figure: 'durable CreateKey, 16 connections against one commit a request', floor: 5, unit: 'x', value: within('KMS CreateKey, durable, by connections', /^1 connection/) },
  { figure: 'requests a second with many keys against 100 keys', floor: 0.9, unit: 'share', value: within('KMS Encrypt by number of keys', /keys$/, true) },
];

function growth(results: Results): Value | string {
  const result = caseOf(results, p11('find by label, strongroom, by objects'));
  const least = result?.figures.find((f) => f.subject === '1000 objects')?.cpuMedian;
  const most = result?.figures.find((f) => f.subject === '100000 objects')?.cpuMedian;
  if (result === undefined || typeof least !== 'number' || typeof most !== 'number') return unmeasured;
  return { value: most / least, text: two(most / least), control: result.control.median };
}

export function speedRows({ results, partial }: { readonly results: Results; readonly partial: boolean }): readonly SpeedRow[] {
  return goals.map((goal) => row(goal, results)).filter((one) => !partial || one.measured !== unmeasured);
}

function row(goal: Goal, results: Results): SpeedRow {

  const floor = `${goal.atMost === true ? 'at most ' : ''}${goal.floor}${goal.unit === 'share' ? '' : goal.unit === 'x' ? 'x' : ' us'}`;
  const found = goal.value(results);
  if (typeof found === 'string') return { figure: goal.figure, measured: found, floor, verdict: 'not available' };
  const reached = goal.atMost === true ? found.value <= goal.floor : found.value >= goal.floor;
  return { figure: goal.figure, measured: found.text, floor, verdict: reached ? 'pass' : 'short', control: found.control };
}
