// What the npm clients share: one JSON line a check.
let failed = false;

export async function check(name, run) {
  try {
    await run();
    console.log(JSON.stringify({ name, ok: true }));
  } catch (error) {
    failed = true;
    console.log(JSON.stringify({ name, ok: false, why: error instanceof Error ? (error.stack ?? error.message) : String(error) }));
  }
}

export function done() {
  process.exit(failed ? 1 : 0);
}
