import { describe } from 'vitest';
import { manyGrants } from './many-grants.ts';

describe('a key with 50,000 grants, as many as one may have', () => { manyGrants(50_000); });
