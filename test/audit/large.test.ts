import { describe } from 'vitest';
import { longTrail } from './large.ts';

// The same as large.full.test.ts, in seconds.
describe('a trail of 2,000 events', () => { longTrail(2_000); });
