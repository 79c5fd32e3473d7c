/** What the server and the process with the module in it say to each other. */

export interface Opening {
  readonly call: 'open';
  readonly module: string;
  readonly token: string;
  /** Before the password, which comes through standard input; absent: look for the token and do not log in. */
  readonly user?: string;
  readonly login: boolean;
}

export type ModuleCall =
  | Opening
  /** A fresh AES-256 key that stays in the module. */
  | { readonly call: 'generate'; readonly key: string }
  | { readonly call: 'encrypt'; readonly key: string; readonly iv: Uint8Array; readonly aad: Uint8Array; readonly data: Uint8Array }
  | { readonly call: 'decrypt'; readonly key: string; readonly iv: Uint8Array; readonly aad: Uint8Array; readonly data: Uint8Array }
  | { readonly call: 'destroy'; readonly key: string }
  | { readonly call: 'random'; readonly length: number };

export type Numbered = ModuleCall & { readonly id: number };

/** `error`: a name of PKCS#11, or one of {@link ownErrors}. */
export type Reply = { readonly id: number; readonly bytes?: Uint8Array } | { readonly id: number; readonly error: string };

export const ownErrors = { noLoader: 'NO_LOADER', noModule: 'NO_MODULE', noToken: 'NO_TOKEN', noKey: 'NO_KEY' } as const;
