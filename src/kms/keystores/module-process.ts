/**
 * The process with a PKCS#11 module in it. It may crash: the server notices and starts another. It takes
 * calls through the channel to its parent, the password through standard input, and ends with its parent.
 */
import { closeSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ownErrors, type ModuleCall, type Numbered, type Opening, type Reply } from './module-calls.ts';

type Pkcs11 = typeof import('pkcs11js');

const tagLength = 16;
const longestPassword = 512;

/** After these nothing goes on in this session: another process is a fresh start. */
const fatal = new Set([
  'CKR_CRYPTOKI_NOT_INITIALIZED', 'CKR_DEVICE_ERROR', 'CKR_DEVICE_MEMORY', 'CKR_DEVICE_REMOVED', 'CKR_SESSION_CLOSED', 'CKR_SESSION_HANDLE_INVALID',
  'CKR_TOKEN_NOT_PRESENT', 'CKR_TOKEN_NOT_RECOGNIZED', 'CKR_USER_NOT_LOGGED_IN',
]);

class Refusal extends Error {}

class Token {
  readonly #js: Pkcs11;
  readonly #module: InstanceType<Pkcs11['PKCS11']>;
  readonly #session: Buffer;
  readonly #keys = new Map<string, Buffer>();

  private constructor(js: Pkcs11, module: InstanceType<Pkcs11['PKCS11']>, session: Buffer) {
    this.#js = js;
    this.#module = module;
    this.#session = session;
  }

  static open({ module: path, token, user = '', login }: Opening): Token {
    const js = loader();
    const module = new js.PKCS11();
    try {
      module.load(path);
      module.C_Initialize();
    } catch {
      throw new Refusal(ownErrors.noModule);
    }
    const slot = module.C_GetSlotList(true).find((one) => module.C_GetTokenInfo(one).label.replaceAll('\0', '').trimEnd() === token);
    if (slot === undefined) throw new Refusal(ownErrors.noToken);
    const session = module.C_OpenSession(slot, js.CKF_RW_SESSION | js.CKF_SERIAL_SESSION);
    if (login) {
      const password = readPassword();
      try {
        // pkcs11js takes a string; this process has no other secret, and the next line is its only use.
        module.C_Login(session, js.CKU_USER, user + password.toString('utf8'));
      } finally {
        password.fill(0);
      }
    }
    return new Token(js, module, session);
  }

  run(call: Exclude<ModuleCall, Opening>): Uint8Array | undefined {
    switch (call.call) {
      case 'generate': return this.#generate(call.key);
      case 'encrypt': return this.#seal(call);
      case 'decrypt': return this.#open(call);
      case 'destroy': return this.#destroy(call.key);
      case 'random': return this.#module.C_GenerateRandom(this.#session, Buffer.alloc(call.length));
    }
  }

  #generate(key: string): undefined {
    const js = this.#js;
    const flag = (type: number, value: boolean) => ({ type, value });
    const handle = this.#module.C_GenerateKey(this.#session, { mechanism: js.CKM_AES_KEY_GEN }, [
      { type: js.CKA_CLASS, value: js.CKO_SECRET_KEY }, { type: js.CKA_KEY_TYPE, value: js.CKK_AES }, { type: js.CKA_VALUE_LEN, value: 32 },
      { type: js.CKA_LABEL, value: key }, { type: js.CKA_ID, value: Buffer.from(key, 'utf8') },
      flag(js.CKA_TOKEN, true), flag(js.CKA_PRIVATE, true), flag(js.CKA_SENSITIVE, true), flag(js.CKA_EXTRACTABLE, false),
      flag(js.CKA_ENCRYPT, true), flag(js.CKA_DECRYPT, true), flag(js.CKA_WRAP, false), flag(js.CKA_UNWRAP, false), flag(js.CKA_SIGN, false), flag(js.CKA_VERIFY, false),
    ]);
    this.#keys.set(key, handle);
  }

  #find(key: string): Buffer {
    const known = this.#keys.get(key);
    if (known !== undefined) return known;
    const js = this.#js;
    this.#module.C_FindObjectsInit(this.#session, [{ type: js.CKA_CLASS, value: js.CKO_SECRET_KEY }, { type: js.CKA_ID, value: Buffer.from(key, 'utf8') }]);
    const found = this.#firstFound();
    if (found === undefined) throw new Refusal(ownErrors.noKey);
    this.#keys.set(key, found);
    return found;
  }

  #firstFound(): Buffer | undefined {
    try {
      return this.#module.C_FindObjects(this.#session, 1)[0];
    } finally {
      this.#module.C_FindObjectsFinal(this.#session);
    }
  }

  /** Somebody took a key out of the module, or put it back: its handle is another. */
  forget(): void {
    this.#keys.clear();
  }

  #gcm(iv: Uint8Array, aad: Uint8Array) {
    const js = this.#js;
    return { mechanism: js.CKM_AES_GCM, parameter: { type: js.CK_PARAMS_AES_GCM_v240, iv: Buffer.from(iv), ivBits: 8 * iv.length, aad: Buffer.from(aad), tagBits: 8 * tagLength } };
  }

  #seal({ key, iv, aad, data }: ModuleCall & { readonly call: 'encrypt' }): Uint8Array {
    this.#module.C_EncryptInit(this.#session, this.#gcm(iv, aad), this.#find(key));
    return this.#module.C_Encrypt(this.#session, Buffer.from(data), Buffer.alloc(data.length + tagLength));
  }

  #open({ key, iv, aad, data }: ModuleCall & { readonly call: 'decrypt' }): Uint8Array {
    this.#module.C_DecryptInit(this.#session, this.#gcm(iv, aad), this.#find(key));
    // Some modules ask for room as long as what comes in.
    return this.#module.C_Decrypt(this.#session, Buffer.from(data), Buffer.alloc(data.length));
  }

  #destroy(key: string): undefined {
    this.#module.C_DestroyObject(this.#session, this.#find(key));
    this.#keys.delete(key);
  }
}

function loader(): Pkcs11 {
  try {
    return createRequire(import.meta.url)('pkcs11js') as Pkcs11;
  } catch {
    throw new Refusal(ownErrors.noLoader);
  }
}

function readPassword(): Buffer {
  const room = Buffer.alloc(longestPassword);
  let length = 0;
  for (let n = 1; n > 0 && length < room.length; length += n) n = readSync(0, room, length, room.length - length, null);
  closeSync(0);
  return room.subarray(0, length);
}

function nameOf(error: unknown): string {
  if (error instanceof Refusal) return error.message;
  const found = error instanceof Error ? /CKR_\w+/.exec(error.message) : null;
  return found?.[0] ?? 'CKR_FUNCTION_FAILED';
}

let token: Token | undefined;

function answer(call: Numbered): Reply {
  const { id } = call;
  if (call.call === 'open') {
    token = Token.open(call);
    return { id };
  }
  if (token === undefined) throw new Refusal('CKR_CRYPTOKI_NOT_INITIALIZED');
  const bytes = token.run(call);
  return bytes === undefined ? { id } : { id, bytes };
}

process.on('message', (call: Numbered) => {
  try {
    process.send?.(answer(call));
  } catch (error) {
    const name = nameOf(error);
    if (name === 'CKR_KEY_HANDLE_INVALID' || name === 'CKR_OBJECT_HANDLE_INVALID') token?.forget();
    process.send?.({ id: call.id, error: name }, () => { if (fatal.has(name)) process.exit(1); });
  }
});
// A signal to the whole group is the server's affair: it ends us when it is done.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
// Parent gone, or done with us. Without C_Finalize: what a module does there must not keep us.
process.on('disconnect', () => process.exit(0));
