// Support tables from the code's own tables, so that they cannot lie: docs/kms.md and docs/mechanisms.md.
// `node --import tsx scripts/docs.ts` writes them; with `--check`
// (`--check FOLDER`: pages below another folder) it fails where a page is not what it would write.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadCore } from '../src/hsm/native.ts';
import { KEY, USE } from '../src/hsm/numbers.ts';
import { operations } from '../src/kms/operations/table.ts';
import type { BlobShape, ChoiceShape, IntegerShape, ListShape, Member, Shape, StructShape, TextShape } from '../src/kms/shape.ts';
import type { Members } from '../src/kms/shape.ts';

const root = resolve(import.meta.dirname, '..');

const range = ({ min, max }: { readonly min?: number; readonly max?: number }): string =>
  min === undefined && max === undefined ? '' : ` ${min ?? 0}..${max ?? ''}`;

function shapeText(shape: Shape<unknown>): string {
  switch (shape.kind) {
    case 'text': {
      const { pattern } = shape as TextShape;
      return `text${range(shape as TextShape)}${pattern === undefined ? '' : ` \`${pattern.replaceAll('|', '\\|')}\``}`;
    }
    case 'choice': return (shape as ChoiceShape<string>).values.join(', ');
    case 'integer': return `integer${range(shape as IntegerShape)}`;
    case 'blob': return `blob${range(shape as BlobShape)}`;
    case 'list': return `list${range(shape as ListShape<unknown>)} of ${shapeText((shape as ListShape<unknown>).of)}`;
    case 'map': return 'map of text to text';
    case 'struct': return `{ ${Object.entries((shape as StructShape<Members>).members).map(([name, member]) => memberText(name, member)).join('; ')} }`;
    default: return shape.kind;
  }
}

function memberText(name: string, member: Member): string {
  return 'optional' in member ? `${name}: ${shapeText(member.optional)}` : `**${name}**: ${shapeText(member)}`;
}

function kmsPage(): string {
  const rows = Object.values(operations).map((o) => {
    const members = Object.entries(o.input.members).map(([name, member]) => memberText(name, member)).join('<br>');
    const notes = [o.crossAccount ? 'across accounts' : '', o.keyed?.aliases === true ? 'aliases' : '', 'DryRun' in o.input.members ? 'dry run' : ''].filter((n) => n !== '').join(', ');
    return `| ${o.name} | ${members || '-'} | ${notes} |`;
  });
  return `# KMS operations

${rows.length} operations, printed from \`src/kms/operations/table.ts\` by \`npm run docs\`. Required members are bold. *across accounts*: callers of other accounts may,
where policies let them. *aliases*: an alias may name the key.

| operation | input | |
|---|---|---|
${rows.join('\n')}

## Deviations from AWS

- Ciphertext blobs have our own format ([formats/envelope.md](formats/envelope.md)) and open only here.
- SM2 and SM4 (AWS's China Regions) are refused as AWS refuses them elsewhere.
- Custom key stores are still to come: their six operations are unknown here, and no CustomKeyStoreId exists.
- Sharing keys through AWS RAM is not offered: \`ResourceOwners\` lists only the caller's own keys.
- Answers are strictly consistent; AWS's are consistent after a while. So the passing states Creating and Updating never show, a rotation on
  demand is done when it is answered, and grant tokens are checked but never needed.
- GetKeyLastUsage: uses are written every second; a crash forgets the last second's (the trail has them).
- \`Recipient\` goes with all five operations of the model, Decrypt under RSA keys included.
- Request quotas (\`STRONGROOM_QUOTAS=aws\`) are those AWS's developer guide listed in 2026; ML-KEM, which is not in that list, has a bucket like the other
  asymmetric kinds.
- Importing while a key is Disabled is allowed; AWS's texts contradict each other there. Wrapping ML-DSA and ML-KEM material by OAEP alone is
  allowed where it fits; AWS documents RSA_AES_KEY_WRAP.
`;
}

function mechanismsPage(): string {
  const keyNames = new Map<number, string>(Object.entries(KEY).map(([name, number]) => [number, name]));
  const uses = ['ENCRYPT', 'DECRYPT', 'SIGN', 'VERIFY', 'DIGEST', 'WRAP', 'UNWRAP', 'DERIVE', 'GENERATE', 'ENCAP', 'DECAP', 'RECOVER'] as const;
  const core = loadCore();
  const rows = core.mechanisms().map((m) => {
    const can = uses.filter((u) => (m.flags & USE[u]) !== 0).map((u) => u.toLowerCase()).join(', ');
    const bits = m.maxBits === 0 ? '' : m.minBits === m.maxBits ? String(m.minBits) : `${m.minBits}-${m.maxBits}`;
    return `| \`CKM_${m.name}\` | 0x${m.id.toString(16).padStart(4, '0')} | ${m.keyType === KEY.ANY ? '' : (keyNames.get(m.keyType) ?? '')} | ${bits} | ${can} | ${(m.flags & USE.APPROVED) === 0 ? 'no' : 'yes'} |`;
  });
  core.close();
  return `# Mechanisms

${rows.length} mechanisms of the core, printed from its registry (\`native/mech/registry.c\`) by \`npm run docs\`. *Approved* is the service indicator where it does not
depend on parameters; the product holds no certificate.

| mechanism | number | key | bits | uses | approved |
|---|---|---|---|---|---|
${rows.join('\n')}
`;
}

const pages: Readonly<Record<string, string>> = { 'docs/kms.md': kmsPage(), 'docs/mechanisms.md': mechanismsPage() };
const at = process.argv.indexOf('--check');
const check = at > 0;
const folder = process.argv[at + 1];
let stale = false;
for (const [path, text] of Object.entries(pages)) {
  const file = join(check && folder !== undefined ? resolve(folder) : root, path);
  if (!check) writeFileSync(file, text);
  else if (readFileSync(file, 'utf8') !== text) {
    stale = true;
    console.error(`${path} is not what the code's tables say: run npm run docs`);
  }
}
process.exitCode = stale ? 1 : 0;
