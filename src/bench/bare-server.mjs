// A process does not inherit the loader of TypeScript: bring it up, then serve.
import { register } from 'tsx/esm/api';

register();
await import('./bare-server.ts');
