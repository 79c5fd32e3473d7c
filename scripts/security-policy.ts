// docs/security-policy.md: mechanisms and self-tests from the core, states from native/base/state.c, services from every call of
// native/module/hsm.h. A call that no service below takes up makes this fail.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NativeCore } from '../src/hsm/native.ts';
import { USE } from '../src/hsm/numbers.ts';

interface Service {
  readonly name: string;
  readonly calls: RegExp;
  /** Who may ask for it. */
  readonly roles: string;
  /** What it does with keys: Generate, Read (leaves, sealed or wrapped), Write (comes in), Execute, Zeroise. */
  readonly access: string;
}

const services: readonly Service[] = [
  { name: 'Status and self-tests', calls: /^(describe|self_test|self_test_at|mech_at|mech_describe|approved|approved_carry|fault_\w+|lab_\w+)$/, roles: 'nobody', access: '-' },
  { name: 'Power on, power off', calls: /^(open|close)$/, roles: 'nobody', access: 'Z: everything in memory, at power off' },
  { name: 'Zeroise', calls: /^zeroise$/, roles: 'nobody', access: 'Z: everything in memory' },
  { name: 'Root key: make, open, close, slots, shares', calls: /^(root_|share_)/, roles: 'who has the key file, passphrase, answer, or enough shares', access: 'G, R (sealed), E: root key; R: shares, once' },
  { name: 'Partitions of accounts', calls: /^partition_/, roles: 'service', access: 'G, R (sealed), W: account key; Z: at close' },
  { name: 'Sessions and roles', calls: /^(session_|login|logout|pin_)/, roles: 'nobody; user and officer by PIN, caller by SigV4', access: 'E: PIN keys' },
  { name: 'Tokens', calls: /^token_/, roles: 'officer; user for its own PIN', access: 'G, R (sealed), W: token key; Z: at reset' },
  { name: 'Access keys and SigV4', calls: /^(credential_|sigv4_|keep_)/, roles: 'service; caller is made by it', access: 'G, W, R (sealed; once in the clear), E: access key secrets' },
  { name: 'Make keys', calls: /^(generate|generate_pair|create|copy)$/, roles: 'user, service; public for public objects', access: 'G, W: keys' },
  { name: 'Key material from outside', calls: /^import_/, roles: 'service', access: 'G: wrapping pair; W: keys, wrapped' },
  { name: 'Attributes and finding', calls: /^(attr_|key_describe|find|public_key)/, roles: 'user, public for public objects, officer, caller (describe), service', access: 'R: public parts' },
  { name: 'Objects at rest', calls: /^object_/, roles: 'user, service', access: 'R, W: keys, sealed' },
  { name: 'Destroy', calls: /^destroy$/, roles: 'user, service', access: 'Z: keys' },
  { name: 'Encrypt, decrypt, sign, verify, digest, derive, agree, encapsulate, in one or many parts', calls: /^(encrypt|decrypt|sign|verify|recover|digest|digest_copy|derive|encapsulate|decapsulate|begin|once|update|update_key|final|cancel|batch|agree|kem_\w+)$/, roles: 'user, caller; public for public objects', access: 'E: keys; G: derived and agreed keys' },
  { name: 'Wrap, unwrap', calls: /^(wrap|unwrap)$/, roles: 'user', access: 'R, W: keys, wrapped; E: wrapping key' },
  { name: 'Envelopes, data keys, attested recipients', calls: /^(envelope_|data_key|recipient_)/, roles: 'caller', access: 'E: KMS keys; G, R: data keys (payload)' },
  { name: 'Random', calls: /^random(_add)?$/, roles: 'every session', access: 'E: generator state' },
  { name: 'Records', calls: /^record_/, roles: 'nobody; the root is open', access: 'E: record key' },
  { name: 'Bytes without a key', calls: /^(payload_|json_cut|base64|sha256)/, roles: 'nobody', access: '-' },
];

function callsOf(root: string): readonly string[] {
  const header = readFileSync(join(root, 'native/module/hsm.h'), 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '');
  return [...new Set([...header.matchAll(/\bhsm_(\w+)\([^;{]*\);/g)].map(([, name]) => name ?? ''))];
}

function serviceRows(root: string): readonly string[] {
  const left = new Set(callsOf(root));
  const rows = services.map(({ name, calls, roles, access }) => {
    const taken = [...left].filter((call) => calls.test(call));
    for (const call of taken) left.delete(call);
    return `| ${name} | ${taken.map((call) => `\`${call}\``).join(' ')} | ${roles} | ${access} |`;
  });
  if (left.size > 0) throw new Error(`scripts/security-policy.ts: no service takes up ${[...left].join(', ')}`);
  return rows;
}

/** The one table that the module's life goes by. */
function stateRows(root: string): readonly string[] {
  const source = readFileSync(join(root, 'native/base/state.c'), 'utf8');
  const events = /\/\*\s+(OPEN\s[A-Z_\s]+)\*\//.exec(source)?.[1]?.trim().split(/\s+/) ?? [];
  const rows = [...source.matchAll(/\[STATE_(\w+)\]\s*=\s*\{([^}]*)\}/g)].map(([, state = '', cells = '']) => ({ state, cells: cells.split(',').map((cell) => cell.trim()).filter((cell) => cell !== '') }));
  if (events.length === 0 || rows.length === 0 || rows.some((row) => row.cells.length !== events.length)) throw new Error('native/base/state.c: its table does not read as it did');
  const shown = (cell: string): string => (cell === 'STAY' ? 'refused' : cell.replace('STATE_', '').toLowerCase());
  return [
    `| in | ${events.map((event) => event.toLowerCase().replaceAll('_', ' ')).join(' | ')} |`,
    `|---|${events.map(() => '---|').join('')}`,
    ...rows.map(({ state, cells }) => `| ${state.toLowerCase()} | ${cells.map(shown).join(' | ')} |`),
  ];
}

export function securityPolicyPage(core: NativeCore, root: string): string {
  const mechanisms = core.mechanisms();
  const named = (yes: boolean): string => mechanisms.filter((m) => ((m.flags & USE.APPROVED) !== 0) === yes).map((m) => `\`${m.name}\``).join(', ');
  return `# Security policy

Printed from the code's tables by \`npm run docs\`. It has the shape of a FIPS 140-3 security policy. **No validation stands behind it**: the module holds no certificate, and
"approved" below says that an algorithm with these parameters is one that the standards approve, no more.

The module is the native core as it lies in \`strongroom.node\` and \`libstrongroom-pkcs11.so\`; what is inside and outside is in [boundary.md](boundary.md).

## States

One table, one function that changes the state (\`native/base/state.c\`); every state and event: \`test/native/state_test.c\`.

${stateRows(root).join('\n')}

Services run in *ready* alone. In *error* and *zeroised* status still answers, with the last reason; both are left only by power off.

## Roles

| role | how |
|---|---|
| public | a session on a token, nobody logged in |
| user | by the token's user PIN; of a partition of this process at once |
| officer | by the token's SO PIN |
| caller | a tenant's principal, by a SigV4 signature that the core verified |
| service | the server's own work: makes, keeps and loads keys, uses none |

## Services

G generates, R reads out (sealed or wrapped, where it does not say otherwise), W takes in, E uses, Z zeroises. The calls are those of \`native/module/hsm.h\`, without \`hsm_\`; which role may do what with
which object is decided in \`native/module/policy.c\`.

| service | calls | roles | keys |
|---|---|---|---|
${serviceRows(root).join('\n')}

## Algorithms

[mechanisms.md](mechanisms.md) has key sizes and uses. The indicator of each operation depends on parameters too: SHA-1 for verifying only, AES-GCM with an IV made inside only, HMAC keys of 112 bits and more.
It is read by \`C_GetSessionValidationFlags\` and \`Core.approved()\`; \`STRONGROOM_APPROVED_ONLY=on\` refuses the rest.

Approved (${mechanisms.filter((m) => (m.flags & USE.APPROVED) !== 0).length}): ${named(true)}.

Not approved (${mechanisms.filter((m) => (m.flags & USE.APPROVED) === 0).length}): ${named(false)}.

## Self-tests

All at power on, after an HMAC-SHA-256 over the module's own image; every \`STRONGROOM_SELF_TEST_HOURS\` hours while the server runs; when asked (\`strongroom selftest\`, \`POST /v1/self-tests\`). One that fails
latches the error state. Key pairs are tested for consistency when they are made and when they come in.

${core.selfTests().map((name) => `\`${name}\``).join(', ')}.

## Entropy

AWS-LC's CTR_DRBG (AES-256, SP 800-90A), one a thread, is seeded with 384 bits of the operating system (\`getrandom\`), mixed with RDRAND or RNDR where the processor has it, and again after 2^12 calls
and after each fork. The module has no noise source of its own and claims no entropy for itself: the health tests of the source (SP 800-90B, 4.4) belong to the kernel. What the module watches is the output:
two successive draws of a thread that agree in 128 bits end service (\`native/crypto/rng.c\`).

## Zeroisation

At power off, at a tamper event (\`zeroise\`), when an object is destroyed or its session or partition ends: material and schedules are overwritten when the last operation that uses them has ended. Arena memory is
wiped when it is freed.
`;
}
