// Ansible's kms_key: what it reads back must be what it wrote, or the second run changes something.
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { pythonEnvironment } from './built.ts';
import { clientServer } from './running.ts';
import { Workshop } from './workshop.ts';

interface Result { readonly changed: boolean; readonly failed?: boolean; readonly msg?: string; readonly key_state?: string; readonly kms_keys?: readonly Record<string, unknown>[] }
interface Run { readonly plays: readonly { readonly tasks: readonly { readonly task: { readonly name: string }; readonly hosts: { readonly localhost: Result } }[] }[] }

const bin = pythonEnvironment('ansible', ['ansible==12.2.0', 'boto3==1.43.11']);
const server = await clientServer();
const shop = new Workshop('ansible', server.env);
afterAll(async () => {
  shop.remove();
  await server.stop();
});

const { stdout, stderr } = shop.try(join(bin, 'ansible-playbook'), ['-i', 'localhost,', '-e', `ansible_python_interpreter=${join(bin, 'python')}`, join(import.meta.dirname, 'ansible.yaml')],
  { env: { ACCOUNT: '000000000000', AWS_REGION: 'us-east-1', ANSIBLE_STDOUT_CALLBACK: 'ansible.posix.json', ANSIBLE_LOCALHOST_WARNING: 'false', ANSIBLE_NOCOLOR: '1', LC_ALL: 'C.UTF-8' } });
if (!stdout.includes('{')) throw new Error(stderr);
const tasks = (JSON.parse(stdout.slice(stdout.indexOf('{'))) as Run).plays.flatMap((play) => play.tasks).map(({ task, hosts }) => [task.name, hosts.localhost] as const);

describe('Ansible kms_key', () => {
  it('runs every task', () => {
    expect(tasks.filter(([, r]) => r.failed === true).map(([name, r]) => `${name}: ${r.msg ?? ''}`)).toEqual([]);
    expect(tasks).toHaveLength(19);
  });

  for (const [name, result] of tasks) {
    if (name.startsWith('what is there')) {
      it(name, () => { expect(result.kms_keys).toHaveLength(1); });
      it('reads back what was written', () => {
        expect(result.kms_keys?.[0]).toMatchObject({ description: 'changed', tags: { team: 'core', zone: 'a' }, enable_key_rotation: true, key_state: 'Enabled', aliases: ['ansible'], grants: [] });
      });
    } else {
      it(`${name}: ${name.endsWith(' again') ? 'nothing changed' : 'changed'}`, () => { expect(result.changed).toBe(!name.endsWith(' again')); });
    }
  }
});
