// A worker thread does not inherit the loader of TypeScript: bring it up, then be the writer.
import { register } from 'tsx/esm/api';

register();
await import('./writer.ts');
