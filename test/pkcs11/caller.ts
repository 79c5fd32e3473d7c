/** Calls into the Cryptoki module, one at a time, through caller.c: the `.so` in a process of its own. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../clients/running.ts';

export const modulePath = join(root, 'build/Release/libstrongroom-pkcs11.so');

/** A word of an argument list or a structure: a number, nothing (NULL), or what is pointed to. */
export type Word = number | bigint | null | Bytes | Struct;

/** Bytes that an argument points to. After the call they are what the module left there. */
export class Bytes {
  constructor(public bytes: Buffer) {}
}
/** A structure, or an array, of 8-byte words. After the call `image` is what the module left there. */
export class Struct {
  image: Buffer = Buffer.alloc(0);
  constructor(readonly words: readonly Word[]) {}
  /** The word at a place, as a number. */
  number(at: number): number {
    return Number(this.image.readBigUInt64LE(at * 8));
  }
}

export const bytes = (from: Uint8Array): Bytes => new Bytes(Buffer.from(from));
export const room = (length: number): Bytes => new Bytes(Buffer.alloc(length));
export const struct = (...words: readonly Word[]): Struct => new Struct(words);

function program(): string {
  const source = join(root, 'test/pkcs11/caller.c');
  const file = join(root, 'build/caller');
  if (!existsSync(file) || statSync(file).mtimeMs < statSync(source).mtimeMs) {
    mkdirSync(join(root, 'build'), { recursive: true });
    execFileSync('cc', ['-O1', '-g', '-std=c11', '-D_GNU_SOURCE', '-o', `${file}.${process.pid}`, source, '-ldl']);
    execFileSync('mv', [`${file}.${process.pid}`, file]);
  }
  return file;
}

let header: string | undefined;
/** The text of PKCS#11's header. */
export function cryptoki(): string {
  if (header === undefined) {
    const folder = execFileSync(process.execPath, ['scripts/native.mjs', '--print', 'CRYPTOKI_DIR'], { cwd: root, encoding: 'utf8' }).trim();
    header = readFileSync(join(folder, 'pkcs11.h'), 'utf8');
  }
  return header;
}

/** The functions of the list, in their order; the version stands at place 0. */
function places(): ReadonlyMap<string, number> {
  const list = /struct CK_FUNCTION_LIST_3_2 \{([^}]*)\}/.exec(cryptoki())?.[1] ?? '';
  return new Map([...list.matchAll(/CK_\w+ (C_\w+);/g)].map(([, name], i) => [name!, i + 1]));
}

let names: ReadonlyMap<number, string> | undefined;
/** A return value by its name. */
export function nameOf(rv: number): string {
  names ??= new Map([...cryptoki().matchAll(/#define (CKR_\w+)\s+(0x[0-9A-Fa-f]+)UL/g)].map(([, name, number]) => [Number(number), name!]));
  return names.get(rv) ?? `0x${rv.toString(16)}`;
}

export class Caller {
  readonly home = mkdtempSync(join(tmpdir(), 'strongroom-caller-'));
  readonly places = places();
  readonly #child: ChildProcess;
  readonly #to: number;
  readonly #from: number;

  constructor(module = modulePath) {
    // Two fifos: a pipe of Node's own cannot be waited for without giving up the turn.
    const [there, back] = ['there', 'back'].map((name) => join(this.home, name)) as [string, string];
    execFileSync('mkfifo', [there, back]);
    this.#child = spawn('sh', ['-c', 'exec "$1" "$2" <"$3" >"$4"', 'sh', program(), module, there, back],
      { stdio: ['ignore', 'ignore', 'inherit'], env: { ...process.env, STRONGROOM_HOME: this.home } });
    this.#to = openSync(there, 'w');
    this.#from = openSync(back, 'r');
  }

  #read(length: number): Buffer {
    const into = Buffer.alloc(length);
    for (let got = 0; got < length;) {
      const n = readSync(this.#from, into, got, length - got, null);
      if (n === 0) throw new Error('the process with the module ended');
      got += n;
    }
    return into;
  }

  /** Calls the function and answers its return value; what arguments point to is filled in. */
  call(name: string, ...args: readonly Word[]): number {
    const place = this.places.get(name);
    if (place === undefined) throw new Error(`no function ${name}`);
    const parts: Buffer[] = [];
    const pointers: bigint[] = [];
    const found: [Bytes | Struct, number][] = [];
    let length = 0;
    const lay = (size: number): number => {
      const at = length;
      length += Math.ceil(size / 8) * 8;
      return at;
    };
    const layWords = (words: readonly Word[]): number => {
      const at = lay(words.length * 8);
      const own = Buffer.alloc(words.length * 8);
      parts.push(own);
      words.forEach((word, i) => {
        if (word instanceof Bytes || word instanceof Struct) pointers.push(BigInt(at + i * 8), BigInt(layRef(word)));
        else own.writeBigUInt64LE(BigInt.asUintN(64, BigInt(word ?? 0)), i * 8);
      });
      return at;
    };
    const layRef = (ref: Bytes | Struct): number => {
      let at: number;
      if (ref instanceof Struct) at = layWords(ref.words);
      else {
        at = lay(ref.bytes.length);
        parts.push(Buffer.concat([ref.bytes, Buffer.alloc(length - at - ref.bytes.length)]));
      }
      found.push([ref, at]);
      return at;
    };
    layWords(args);
    const head = Buffer.alloc(32);
    [place, args.length, length, pointers.length / 2].forEach((n, i) => { head.writeBigUInt64LE(BigInt(n), i * 8); });
    const where = Buffer.alloc(pointers.length * 8);
    pointers.forEach((p, i) => { where.writeBigUInt64LE(p, i * 8); });
    const request = Buffer.concat([head, where, ...parts]);
    for (let put = 0; put < request.length;) put += writeSync(this.#to, request, put);
    const rv = Number(this.#read(8).readBigUInt64LE());
    const image = this.#read(length);
    for (const [ref, at] of found) {
      if (ref instanceof Struct) ref.image = image.subarray(at, at + ref.words.length * 8);
      else ref.bytes = image.subarray(at, at + ref.bytes.length);
    }
    return rv;
  }

  close(): void {
    closeSync(this.#to);
    closeSync(this.#from);
    this.#child.unref();
    rmSync(this.home, { recursive: true, force: true });
  }
}
