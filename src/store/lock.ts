/**
 * One process a home. The lock is SQLite's own on a file of its own: the kernel lets go of it when the
 * process dies, however it dies, so there is nothing stale to clean up.
 */
import Database from 'better-sqlite3';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from './store.ts';

export interface HomeLock {
  release(): void;
}

export function lockHome(home: string): HomeLock {
  const pidFile = join(home, 'pid');
  const path = join(home, 'lock');
  closeSync(openSync(path, 'a', 0o600));
  const db = new Database(path, { timeout: 0 });
  try {
    db.pragma('journal_mode = DELETE');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) throw new StoreError('Busy', `${home} is in use by ${holder(pidFile)}; one server runs on a home`);
    throw new StoreError('Io', `cannot lock ${home}: ${error instanceof Error ? error.message : String(error)}`);
  }
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  return {
    release(): void {
      if (db.open) db.close();
    },
  };
}

function holder(pidFile: string): string {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    return Number.isSafeInteger(pid) && pid > 0 ? `process ${pid}` : 'another process';
  } catch {
    return 'another process';
  }
}
