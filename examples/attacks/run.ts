// The textbook's attacks, each in the laboratory, where it must succeed, and outside, where it must fail:
//   npm run build:lab && node --import tsx examples/attacks/run.ts [NAME …]
import { bleichenbacher, settings as oracle } from './bleichenbacher.ts';
import { crtFault, settings as fault } from './crt-fault.ts';
import { attackOn, labIsBuilt, type Attack } from './ground.ts';
import { minerva, settings as shortNonces } from './minerva.ts';
import { nonceReuse, settings as stuck } from './nonce-reuse.ts';
import { settings as lax, vaudenay } from './vaudenay.ts';
import { settings as roles, wrapDecrypt } from './wrap-decrypt.ts';

export interface Exhibit {
  readonly name: string;
  /** What is switched on in the laboratory. */
  readonly settings: readonly string[];
  readonly attack: Attack;
}

/** rsaBits: of Bleichenbacher's victim; more take longer. */
export const exhibits = (rsaBits: number): readonly Exhibit[] => [
  { name: 'bleichenbacher', settings: oracle, attack: bleichenbacher(rsaBits, 2_000_000) },
  { name: 'vaudenay', settings: lax, attack: vaudenay },
  { name: 'minerva', settings: shortNonces, attack: minerva },
  { name: 'crt-fault', settings: fault, attack: crtFault },
  { name: 'nonce-reuse', settings: stuck, attack: nonceReuse },
  { name: 'wrap-decrypt', settings: roles, attack: wrapDecrypt },
];

if (import.meta.filename === process.argv[1]) {
  const wanted = process.argv.slice(2);
  if (!labIsBuilt()) {
    console.error('the laboratory is not built: npm run build:lab');
    process.exit(2);
  }
  let wrong = 0;
  for (const { name, settings, attack } of exhibits(1024).filter((e) => wanted.length === 0 || wanted.includes(e.name))) {
    for (const lab of [true, false]) {
      const { succeeded, story } = await attackOn(lab, settings, attack);
      if (succeeded !== lab) wrong += 1;
      console.log(`${succeeded === lab ? 'as it should be' : 'WRONG         '}  ${name.padEnd(15)} ${(lab ? `laboratory, ${settings.join(' ')}` : 'outside').padEnd(31)} ${story}`);
    }
  }
  process.exit(wrong === 0 ? 0 : 1);
}
