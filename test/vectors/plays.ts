import { aes } from './aes.ts';
import { curves } from './curves.ts';
import type { Play } from './door.ts';
import { hash } from './hash.ts';
import { lattice } from './lattice.ts';
import { rsa } from './rsa.ts';

/** How each file is played, through whatever door. */
export const plays: Readonly<Record<string, Play>> = { ...aes, ...hash, ...curves, ...rsa, ...lattice };
