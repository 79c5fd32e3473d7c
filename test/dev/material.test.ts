// The core's own gate on given material: below everything that the server could get wrong.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Attribute } from '../../src/hsm/core.ts';
import { loadCore } from '../../src/hsm/native.ts';
import { ATTR, CLASS, KEY } from '../../src/hsm/numbers.ts';

const given: readonly Attribute[] = [[ATTR.CLASS, CLASS.SECRET], [ATTR.KEY_TYPE, KEY.KDK], [ATTR.VALUE, Buffer.alloc(32, 7)], [ATTR.ENCRYPT, true], [ATTR.SENSITIVE, true], [ATTR.EXTRACTABLE, false]];

it.each([['production', false], ['dev', true]] as const)('the service brings in a known key: %s', (mode, taken) => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-'));
  const core = loadCore();
  try {
    core.createRoot(mode, { how: 'keyfile', path: join(folder, 'root.key') });
    const { partition } = core.createPartition('000000000000');
    const service = core.serviceSession();
    const create = (): unknown => core.create(service, partition, given);
    if (taken) expect(core.describeKey(service, create() as never).spec).toEqual({ type: KEY.KDK, param: 256 });
    else expect(create).toThrow(expect.objectContaining({ code: 'HSM_E_MODE' }));
  } finally {
    core.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
