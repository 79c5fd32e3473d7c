import { describe } from 'vitest';
import { longTrail } from './large.ts';

describe('a trail of 100,000 events', () => { longTrail(100_000); });
