import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { readdirSync } from 'node:fs';
const threads = (pid: number) => { const m = new Map<string, number>(); for (const t of readdirSync(`/proc/${pid}/task`)) { try { m.set(t + ' ' + readFileSync(`/proc/${pid}/task/${t}/comm`,'utf8').trim(), Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`,'utf8').split(' ')[0])); } catch {} } return m; };
import { Client, processCpuNs, sign } from './src/bench/endpoint.ts';
const conns = Number(process.argv[2] ?? 16), n = Number(process.argv[3] ?? 20000), prof = process.argv[4] === 'prof', op = process.argv[5] ?? 'Encrypt';
const home = mkdtempSync('/tmp/w/home-');
const child = spawn(process.execPath, [...(prof ? ['--cpu-prof', '--cpu-prof-interval=200', '--cpu-prof-dir=/tmp/w/prof2'] : []), '--import', 'tsx', 'src/cli/main.ts', 'serve'], { env: { ...process.env, STRONGROOM_HOME: home, STRONGROOM_LISTEN: '127.0.0.1:0' }, stdio: ['ignore', 'pipe', 'ignore'] });
const url: string = await new Promise((ok) => { let t=''; child.stdout.on('data', (c) => { t += c; const f=/ready on (\S+)/.exec(t)?.[1]; if (f) ok(f); }); });
const file = readFileSync(home + '/credentials', 'utf8'); const v = (x: string) => new RegExp(`${x}\\s*=\\s*(\\S+)`).exec(file)![1]!;
const ep = { url, region: 'us-east-1', accessKeyId: v('aws_access_key_id'), secretAccessKey: v('aws_secret_access_key') };
const client = new Client(url, conns);
const made = (await client.call(sign(ep, 'CreateKey', {})))['KeyMetadata'] as any;
const inputs: any = { Encrypt: { KeyId: made.KeyId, Plaintext: Buffer.alloc(64, 7).toString('base64'), EncryptionContext: { tenant: 'a' } }, GenerateDataKey: { KeyId: made.KeyId, KeySpec: 'AES_256' }, DescribeKey: { KeyId: made.KeyId }, CreateKey: {} };
const reqs = Array.from({ length: 64 }, () => sign(ep, op, inputs[op]));
await client.flood(reqs, 3000, conns);
const bare = spawn(process.execPath, ['--import','tsx','src/bench/bare-server.ts'], { stdio: ['ignore','pipe','inherit'] });
const burl: string = await new Promise((ok) => { let t=''; bare.stdout.on('data', (c) => { t += c; const f=/listening on (\S+)/.exec(t)?.[1]; if (f) ok(f); }); });
const bclient = new Client(burl, conns);
await bclient.flood(reqs, 3000, conns);
for (let r = 0; r < 4; r++) {
  { const c0 = processCpuNs(bare.pid!); await bclient.flood(reqs, n, conns); console.log('bare cpu us/req', ((processCpuNs(bare.pid!) - c0) / 1000 / n).toFixed(1)); }
  const th = threads(child.pid!); const c0 = processCpuNs(child.pid!), t0 = performance.now();
  await client.flood(reqs, n, conns);
  console.log([...threads(child.pid!)].map(([k, v]) => [k, ((v - (th.get(k) ?? 0)) / 1000 / n).toFixed(1)]).filter(([, v]) => Number(v) > 0.3).map((x) => x.join('=')).join('  '));
  console.log(op, conns, 'cpu us/req', ((processCpuNs(child.pid!) - c0) / 1000 / n).toFixed(1), 'req/s', (n / ((performance.now() - t0) / 1000)).toFixed(0));
}
client.close(); bclient.close(); bare.kill(); child.kill('SIGTERM'); await new Promise((d) => child.once('exit', d)); const D=(await import('better-sqlite3')).default; const d=new D(home+'/strongroom.db'); console.log(d.prepare('select count(*) n, avg(count) a, max(count) m, sum(length(links))/sum(count) bytes from audit_segment').get()); console.log(d.prepare('select count, count(*) n from audit_segment group by count order by 1').all().map((x: any)=>x.count+':'+x.n).join(' ')); rmSync(home, { recursive: true });
