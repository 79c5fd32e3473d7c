import { describe } from 'vitest';
import { manyGrants } from './many-grants.ts';

// The same as many-grants.full.test.ts, in seconds.
describe('a key with 1,000 grants', () => { manyGrants(1_000); });
