/** Clients that are built or installed once, in a cache folder outside build/, each under the hash of its recipe. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'strongroom', 'clients');

/** A folder made by `make` when there is none yet for this recipe. Suites that run side by side wait for one another. */
export function built(name: string, recipe: readonly string[], make: (folder: string) => void): string {
  const folder = join(cache, `${name}-${createHash('sha256').update(recipe.join('\n')).digest('hex').slice(0, 16)}`);
  const done = join(folder, 'done');
  if (existsSync(done)) return folder;
  mkdirSync(cache, { recursive: true });
  const release = lock(`${folder}.lock`);
  try {
    if (!existsSync(done)) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder);
      make(folder);
      writeFileSync(done, '');
    }
  } finally {
    release();
  }
  return folder;
}

/** A folder is made by one only. One whose maker is gone is taken over. */
function lock(path: string): () => void {
  for (;;) {
    try {
      mkdirSync(path);
      writeFileSync(join(path, 'pid'), String(process.pid));
      return () => { rmSync(path, { recursive: true, force: true }); };
    } catch {
      const age = Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > 5_000 && !lives(join(path, 'pid'))) rmSync(path, { recursive: true, force: true });
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
}

function lives(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, 'utf8')), 0);
    return true;
  } catch {
    return false;
  }
}

/** Politely: a build must not starve what else the machine does. Its output is shown when it fails. */
function build(command: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): void {
  const { status, stdout, stderr, error } = spawnSync('nice', ['-n', '10', command, ...args], { cwd, env: { ...process.env, ...env }, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${error?.message ?? ''}\n${`${stdout}\n${stderr}`.split('\n').slice(-40).join('\n')}`);
}

const answer = (command: string, ...args: string[]): string | undefined => {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  return status === 0 ? stdout + stderr : undefined;
};

/** Why a client cannot run here, or undefined. Tools are run, not looked for. */
export function lacking(...tools: readonly ('go' | 'java' | 'cargo' | 'curl')[]): string | undefined {
  const probes = {
    go: () => ((answer('go', 'version')?.match(/go1\.(\d+)/)?.[1] ?? 0) as number) >= 26 ? undefined : 'Go 1.26 is not installed',
    java: () => (answer('java', '-version') === undefined || answer('mvn', '-v') === undefined ? 'a JDK and Maven are not installed' : undefined),
    cargo: () => (Number(answer('cargo', '--version')?.match(/1\.(\d+)/)?.[1] ?? 0) >= 94 ? undefined : 'Rust 1.94 is not installed'),
    curl: () => (answer('curl', '--help', 'all')?.includes('--aws-sigv4') === true ? undefined : 'curl with --aws-sigv4 is not installed'),
  };
  return tools.map((tool) => probes[tool]()).find((why) => why !== undefined);
}

/** A Python environment of exactly these packages; answers its folder of programs. */
export function pythonEnvironment(name: string, packages: readonly string[]): string {
  const folder = built(`python-${name}`, [...packages, answer('python3', '--version') ?? ''], (to) => {
    build('python3', ['-m', 'venv', join(to, 'env')], to);
    build(join(to, 'env/bin/pip'), ['install', '-q', '--disable-pip-version-check', '--no-input', ...packages], to);
  });
  return join(folder, 'env/bin');
}

/** AWS CLI and boto3. At least two weeks old, like every version here: the freshest releases can be half there. */
export function pythonClients(): string {
  return pythonEnvironment('aws', ['awscli==1.45.11', 'boto3==1.43.11', 'cryptography==45.0.7']);
}

/** AWS Encryption SDK with the keyrings of the Material Providers Library. */
export function encryptionSdkPython(): string {
  return pythonEnvironment('esdk', ['aws-encryption-sdk[MPL]==4.0.7', 'aws-cryptographic-material-providers==1.11.1', 'boto3==1.43.11']);
}

/** The npm packages of test/clients/node, by its lock file; answers the folder that holds node_modules. */
export function nodeClients(): string {
  const from = join(import.meta.dirname, 'node');
  const files = ['package.json', 'package-lock.json'].map((f) => join(from, f));
  return built('node', [...files.map((f) => readFileSync(f, 'utf8')), process.version], (to) => {
    for (const file of files) cpSync(file, join(to, file.slice(from.length)));
    build('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], to);
  });
}

/** A script of test/clients/node, laid beside those packages so that it finds them. */
export function nodeScript(name: string): string {
  const from = join(import.meta.dirname, 'node');
  const scripts = readdirSync(from).filter((f) => f.endsWith('.mjs')).sort();
  const hash = createHash('sha256').update(scripts.map((f) => readFileSync(join(from, f), 'utf8')).join('\0')).digest('hex').slice(0, 16);
  const to = join(nodeClients(), hash);
  mkdirSync(to, { recursive: true });
  for (const script of scripts) cpSync(join(from, script), join(to, script));
  return join(to, name);
}

// One package at a time: the machine is shared.
const goEnv = { GOFLAGS: '-p=1 -buildvcs=false', GOTOOLCHAIN: 'local' };

/** A program of the Go proxy, e.g. `github.com/getsops/sops/v3/cmd/sops@v3.13.3`; answers its file. */
export function goProgram(program: string, tags = ''): string {
  const name = program.replace(/@.*/, '').split('/').at(-1) ?? '';
  return join(built(name, [program, tags, answer('go', 'version') ?? ''], (to) => { build('go', ['install', `-tags=${tags}`, program], to, { ...goEnv, GOBIN: to }); }), name);
}

/** A module of test/clients/go, or a package that it requires; answers the program. */
export function goModule(name: string, target = '.'): string {
  const from = join(import.meta.dirname, 'go', name);
  const recipe = readdirSync(from).sort().map((f) => readFileSync(join(from, f), 'utf8'));
  return join(built(name, [...recipe, target, answer('go', 'version') ?? ''], (to) => {
    build('go', ['build', '-mod=readonly', '-o', join(to, name), target], from, goEnv);
  }), name);
}

/** The programs of test/clients/java as one classpath. */
export function javaClasses(): string {
  const from = join(import.meta.dirname, 'java');
  const recipe = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((f) => /\.(java|xml)$/.test(f)).sort().map((f) => readFileSync(join(from, f), 'utf8'));
  const folder = built('java', [...recipe, answer('java', '-version') ?? ''], (to) => {
    cpSync(from, join(to, 'source'), { recursive: true });
    build('mvn', ['-q', '-B', 'package', 'dependency:copy-dependencies', `-DoutputDirectory=${join(to, 'lib')}`], join(to, 'source'));
  });
  return `${join(folder, 'source/target/classes')}:${join(folder, 'lib/*')}`;
}

/** The program of test/clients/rust. */
export function rustProgram(): string {
  const from = join(import.meta.dirname, 'rust');
  const recipe = ['Cargo.toml', 'Cargo.lock', 'src/main.rs'].map((f) => readFileSync(join(from, f), 'utf8'));
  return join(built('rust', [...recipe, answer('cargo', '--version') ?? ''], (to) => {
    build('cargo', ['build', '-q', '--locked', '--jobs', '1', '--manifest-path', join(from, 'Cargo.toml'), '--target-dir', join(to, 'target')], to);
  }), 'target/debug/strongroom-clients');
}


