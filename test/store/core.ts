/** The real core with a root key of this test's own. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { loadCore } from '../../src/hsm/native.ts';

const folder = mkdtempSync(join(tmpdir(), 'core-'));
export const core = loadCore();
core.createRoot('production', { how: 'keyfile', path: join(folder, 'root.key') });

afterAll(() => {
  core.closeRoot();
  core.close();
  rmSync(folder, { recursive: true });
});
