// A process that loads a PKCS#11 module: bring the loader of TypeScript up, then serve.
import { register } from 'tsx/esm/api';

register();
await import('./module-process.ts');
