// Uses a token through the module; another process deletes it and makes one in its place meanwhile.
import { createRequire } from 'node:module';
import { newRoom, officerPin, userPin } from '../room.ts';

const pkcs11js = createRequire(import.meta.url)('pkcs11js') as typeof import('pkcs11js');
const cryptoki = new pkcs11js.PKCS11();
cryptoki.load(process.argv[2] ?? '');
cryptoki.C_Initialize();
const [slot] = cryptoki.C_GetSlotList(true) as [Buffer];
const session = cryptoki.C_OpenSession(slot, pkcs11js.CKF_RW_SESSION | pkcs11js.CKF_SERIAL_SESSION);
cryptoki.C_Login(session, pkcs11js.CKU_USER, userPin);
const make = (): void => { cryptoki.C_CreateObject(session, [{ type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_DATA }, { type: pkcs11js.CKA_TOKEN, value: true }, { type: pkcs11js.CKA_LABEL, value: 'kept' }]); };
make();

const room = newRoom(process.env['STRONGROOM_HOME']);
const cli = (args: readonly string[], lines: readonly string[] = []): void => {
  const done = room.process(args, lines);
  if (done.status !== 0) throw new Error(done.stderr);
};
cli(['delete', 'mine', '--yes']);
cli(['init', '--label', 'mine', '--so-pin-stdin', '--pin-stdin'], [officerPin, userPin]);

let answer = 'made';
try {
  make();
} catch (error) {
  answer = (error as Error).message.replace(/:.*/, '');
}
cryptoki.C_CloseSession(session);
const again = cryptoki.C_OpenSession(slot, pkcs11js.CKF_RW_SESSION | pkcs11js.CKF_SERIAL_SESSION);
cryptoki.C_Login(again, pkcs11js.CKU_USER, userPin);
cryptoki.C_FindObjectsInit(again, []);
const found = cryptoki.C_FindObjects(again, 10).length;
process.stdout.write(`${answer} then ${found === 0 ? 'anew' : 'old'}\n`);
cryptoki.C_Finalize();
