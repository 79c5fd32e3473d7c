// Support tables from the code's own tables, so that they cannot lie: docs/kms.md, docs/mechanisms.md and docs/security-policy.md.
// `node --import tsx scripts/docs.ts` writes them; with `--check`
// (`--check FOLDER`: pages below another folder) it fails where a page is not what it would write.
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { loadCore } from '../src/hsm/native.ts';
import { KEY, USE } from '../src/hsm/numbers.ts';
import { operations, type OperationName } from '../src/kms/operations/table.ts';
import type { BlobShape, ChoiceShape, IntegerShape, ListShape, Member, SecretShape, Shape, StructShape, TextShape } from '../src/kms/shape.ts';
import type { Members } from '../src/kms/shape.ts';
import { securityPolicyPage } from './security-policy.ts';
import { complaints, deviations, findTheirOwn, inGeneral } from './kms-notes.ts';

const root = resolve(import.meta.dirname, '..');

const range = ({ min, max }: { readonly min?: number; readonly max?: number }): string =>
  min === undefined && max === undefined ? '' : ` ${min ?? 0}..${max ?? ''}`;

function shapeText(shape: Shape<unknown>): string {
  switch (shape.kind) {
    case 'text': {
      const { pattern } = shape as TextShape;
      return `text${range(shape as TextShape)}${pattern === undefined ? '' : ` \`${pattern.replaceAll('|', '\\|')}\``}`;
    }
    case 'secret': return `secret text${range(shape as SecretShape)}`;
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
  const rows = Object.entries(operations).map(([name, o]) => {
    const members = Object.entries(o.input.members).map(([member, of]) => memberText(member, of)).join('<br>');
    const aliases = o.keyed?.aliases === true || findTheirOwn.has(name);
    const notes = [o.crossAccount ? 'across accounts' : '', aliases ? 'aliases' : '', 'DryRun' in o.input.members ? 'dry run' : ''].filter((n) => n !== '').join(', ');
    return `| ${name} | ${members || '-'} | ${notes} | ${deviations[name as OperationName] ?? ''} |`;
  });
  const told = complaints.map(({ complaint, where, here, held }) => `| ${complaint} | ${where} | ${here} | ${held.map((one) => `\`${one}\``).join('<br>')} |`);
  return `# KMS operations

${rows.length} operations, printed from \`src/kms/operations/table.ts\` and \`scripts/kms-notes.ts\` by \`npm run docs\`. Required members are bold. *across accounts*:
callers of other accounts may, where policies let them. *aliases*: an alias may name the key. The last column names what differs from AWS.

Members and limits are checked against AWS's service model (botocore 1.44.5) by \`test/kms/model.test.ts\`; answers, exceptions, sentences and key states by
\`test/kms/parity\`, \`test/kms/constraints.test.ts\` and \`test/kms/states.test.ts\`, each case with its source and date.

| operation | input | | deviation |
|---|---|---|---|
${rows.join('\n')}

## Deviations from AWS in general

${inGeneral.map((one) => `- ${one}`).join('\n')}

## What users of other servers miss

| complaint | where | here | held by |
|---|---|---|---|
${told.join('\n')}
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

function policyPage(): string {
  const core = loadCore();
  const page = securityPolicyPage(core, root);
  core.close();
  return page;
}

const pages: Readonly<Record<string, string>> = { 'docs/kms.md': kmsPage(), 'docs/mechanisms.md': mechanismsPage(), 'docs/security-policy.md': policyPage() };
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
