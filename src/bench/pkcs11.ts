/** What Cryptoki modules are measured by, each beside the others and, where it can, beside the library by itself. */
import { prepareDriver, type Work } from './driver.ts';
import { judge } from './judge.ts';
import { drivers, type Module, type Token, type Tokens } from './modules.ts';
import type { Case, Subject } from './measure.ts';

/** The subject that is the crypto library, called by itself. */
export const rawName = 'AWS-LC by itself';

export const sizeName = (size: number): string => (size < 1024 ? `${size} B` : size < 1 << 20 ? `${size / 1024} KiB` : `${size / (1 << 20)} MiB`);

interface Row {
  readonly name: string;
  readonly work: Work;
  /** In the quick run. */
  readonly quick?: boolean;
}

const gcmSizes = [16, 64, 1024, 16384, 65536, 1 << 20];
const quickSizes = [64, 16384, 1 << 20];

const rows: readonly Row[] = [
  ...gcmSizes.map((size): Row => ({ name: `AES-256-GCM seal ${sizeName(size)}`, work: { work: 'gcm-seal', size }, quick: quickSizes.includes(size) })),
  ...gcmSizes.map((size): Row => ({ name: `AES-256-GCM open ${sizeName(size)}`, work: { work: 'gcm-open', size } })),
  ...[64, 16384].map((size): Row => ({ name: `AES-256-CBC encrypt ${sizeName(size)}`, work: { work: 'cbc', size } })),
  { name: 'AES-256-CBC decrypt 64 B', work: { work: 'cbc-open', size: 64 } },
  { name: 'AES key wrap', work: { work: 'kw' } },
  { name: 'AES key unwrap', work: { work: 'kw-open' } },
  { name: 'HMAC-SHA-256 64 B', work: { work: 'hmac', size: 64 }, quick: true },
  { name: 'HMAC-SHA-256 16 KiB', work: { work: 'hmac', size: 16384 } },
  { name: 'SHA-256 64 B', work: { work: 'sha256', size: 64 } },
  { name: 'random 32 B', work: { work: 'random', size: 32 } },
  ...([['P-256', 'p256', 0], ['P-384', 'p384', 0], ['RSA-2048', 'rsa', 2048], ['RSA-4096', 'rsa', 4096], ['Ed25519', 'ed25519', 0], ['ML-DSA-65', 'mldsa65', 0]] as const).flatMap(([name, kind, size]): Row[] => [
    { name: `${name} sign`, work: { work: 'sign', kind, size }, quick: name === 'P-256' || name === 'P-384' || name === 'RSA-2048' },
    { name: `${name} verify`, work: { work: 'verify', kind, size } },
  ]),
  { name: 'P-256 agreement', work: { work: 'ecdh', kind: 'p256' } },
  { name: 'ML-KEM-768 encapsulate', work: { work: 'encapsulate', kind: 'mlkem768' } },
  { name: 'ML-KEM-768 decapsulate', work: { work: 'decapsulate', kind: 'mlkem768' } },
  { name: 'AES key generation', work: { work: 'keygen', kind: 'aes' } },
  { name: 'P-256 key generation', work: { work: 'keygen', kind: 'p256' } },
  { name: 'Ed25519 key generation', work: { work: 'keygen', kind: 'ed25519' } },
  { name: 'ML-DSA-65 key generation', work: { work: 'keygen', kind: 'mldsa65' } },
  { name: 'RSA-2048 key generation', work: { work: 'keygen', kind: 'rsa', size: 2048 } },
  { name: 'open and close a session', work: { work: 'session' }, quick: true },
  { name: 'get an attribute', work: { work: 'attribute' }, quick: true },
  { name: 'log in and out', work: { work: 'login' } },
  { name: 'fresh process to first signature', work: { work: 'first-sign' } },
  { name: 'durable AES key', work: { work: 'create', most: 200 } },
];

export interface Menu {
  readonly modules: readonly Module[];
  readonly tokens: Tokens;
  readonly quick: boolean;
  /** Most threads of the cases that use several. */
  readonly threads: number;
}

/** Object counts of the cases that find; peers only where their tokens are filled in bearable time. */
const findCounts = [100, 1000, 10_000, 100_000];
const peerCounts: Readonly<Partial<Record<Module['kind'], number>>> = { strongroom: 100_000, softhsm: 10_000, nss: 1000, kryoptic: 1000 };

const prefix = 'PKCS#11';

export function moduleCases(menu: Menu): readonly Case[] {
  const { modules, quick } = menu;
  const chosen = quick ? rows.filter((row) => row.quick === true) : rows;
  return [
    ...chosen.map((row): Case => ({
      name: `${prefix} ${row.name}`,
      subjects: [...modules.map((m) => subject(m.name, async () => await menu.tokens.empty(m), row.work)), ...(hasRaw(row.work) ? [rawSubject(row.work)] : [])],
    })),
    ...(quick ? [10_000] : [100, 1000, 10_000]).map((count): Case => ({
      name: `${prefix} find by label among ${count} objects`,
      subjects: modules.filter((m) => count <= (peerCounts[m.kind] ?? 0)).map((m) => subject(m.name, async () => await menu.tokens.filled(m, count), { work: 'find', size: count })),
    })),
    ...modules.flatMap((m) => growthCase(menu, m)),
    ...(quick ? [10_000] : [1000, 10_000]).map((count): Case => ({
      name: `${prefix} fresh process ready with ${count} token objects`,
      subjects: modules.filter((m) => count <= (peerCounts[m.kind] ?? 0)).map((m) => subject(m.name, async () => await menu.tokens.filled(m, count), { work: 'ready' })),
    })),
    ...modules.flatMap((m) => threadCases(menu, m)),
  ].filter((one) => one.subjects.length > 0);
}

/** What a find costs in larger tokens, as multiples of what it costs among the fewest. */
function growthCase(menu: Menu, module: Module): Case[] {
  const counts = findCounts.filter((count) => count >= (menu.quick ? 1000 : 100) && count <= (peerCounts[module.kind] ?? 0) && (!menu.quick || count !== 10_000));
  if (counts.length < 2 || (menu.quick && module.kind !== 'strongroom')) return [];
  return [{
    name: `${prefix} find by label, ${module.name}, by objects`,
    subjects: counts.map((count) => subject(`${count} objects`, async () => await menu.tokens.filled(module, count), { work: 'find', size: count })),
  }];
}

/** One thread beside several, on one key and on a key each; ratios below 1 are what the threads bring. */
function threadCases(menu: Menu, module: Module): Case[] {
  if (menu.threads < 2 || (menu.quick && module.kind !== 'strongroom')) return [];
  const works: readonly (readonly [string, Work])[] = [
    ['P-256 sign', { work: 'sign', kind: 'p256' }],
    ['AES-256-GCM seal 64 B', { work: 'gcm-seal', size: 64 }],
    ...(menu.quick ? [] : [['AES-256-GCM seal 16 KiB', { work: 'gcm-seal', size: 16384 }], ['HMAC-SHA-256 64 B', { work: 'hmac', size: 64 }]] as const),
  ];
  const counts = [2, 4, 8, 16, 32, 64].filter((n) => n <= menu.threads && (!menu.quick || n === 2));
  if (!counts.includes(menu.threads) && !menu.quick) counts.push(menu.threads);
  return works.map(([name, work]): Case => ({
    name: `${prefix} ${name}, ${module.name}, by threads`,
    by: 'wall',
    subjects: [
      subject('1 thread', async () => await menu.tokens.empty(module), work),
      ...counts.flatMap((threads) => [
        subject(`${threads} threads, one key`, async () => await menu.tokens.empty(module), { ...work, threads }),
        subject(`${threads} threads, a key each`, async () => await menu.tokens.empty(module), { ...work, threads, ownKeys: true }),
      ]),
    ],
  }));
}

function subject(name: string, token: () => Promise<Token>, work: Work): Subject {
  return {
    name,
    async prepare() {
      return await prepareDriver((await token()).command, work, judge);
    },
  };
}

function rawSubject(work: Work): Subject {
  return { name: rawName, async prepare() { return await prepareDriver({ program: drivers.raw, args: [] }, work, judge); } };
}

/** What the library does without a module round it. */
const rawWorks: readonly string[] = ['gcm-seal', 'gcm-open', 'cbc', 'kw', 'hmac', 'sha256', 'random', 'sign', 'verify', 'ecdh', 'encapsulate', 'decapsulate', 'keygen'];

const hasRaw = (work: Work): boolean => rawWorks.includes(work.work);
