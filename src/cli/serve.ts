import type { Command } from 'commander';
import { homeOf, openStrongroom, readConfig } from '../open.ts';
import { say } from './output.ts';

export function addServeCommand(program: Command): void {
  program
    .command('serve')
    .description('start the server; settings come from the environment (docs/configuration.md)')
    .action(async () => {
      const room = await openStrongroom(readConfig(process.env));
      const home = homeOf(process.env);
      if (room.firstRun) {
        say(`new home ${home}`);
        say('credentials are written; to use them:');
        for (const line of [`AWS_SHARED_CREDENTIALS_FILE=${home}/credentials`, `AWS_CONFIG_FILE=${home}/config`, 'AWS_PROFILE=default', `AWS_ENDPOINT_URL_KMS=${room.url}`]) process.stderr.write(`  export ${line}\n`);
      }
      for (const note of room.notes) say(note);
      process.stdout.write(`strongroom: ready on ${room.url}\n`);

      const stop = async (): Promise<void> => {
        await room.close();
        process.exit(0);
      };
      for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => { void stop(); });
    });
}
