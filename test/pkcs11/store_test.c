/* store_test.c - tokens at rest: other processes, kills in the middle, damage. */
#include "room.h"

#include <sqlite3.h>

static char path[128];

static int
begin(void **state)
{
	if (home_begin(state) != 0 || f->C_Initialize(NULL) != CKR_OK)
		return -1;
	(void)snprintf(path, sizeof path, "%s/tokens/0.token", home);
	return 0;
}

static int
wait_exit(pid_t child)
{
	int status = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* In a child: a process of its own on the same token. */
static CK_SESSION_HANDLE
other_process(void)
{
	if (f->C_Initialize(NULL) != CKR_OK)
		_exit(100);
	return session_user();
}

static void
test_other_process(void **state)
{
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE key = 0, again = 0;
	CK_ATTRIBUTE label = { CKA_LABEL, "renamed", 7 };
	pid_t child;

	(void)state;
	token_begin();
	h = session_user();
	assert_int_equal(count_label(h, "theirs", NULL), 0);
	if ((child = fork()) == 0) {
		key_aes(other_process(), true, "theirs");
		_exit(0);
	}
	assert_int_equal(wait_exit(child), 0);
	assert_int_equal(count_label(h, "theirs", &key), 1);
	/* Changed there, seen here. */
	if ((child = fork()) == 0) {
		CK_SESSION_HANDLE o = other_process();

		if (count_label(o, "theirs", &again) != 1 || f->C_SetAttributeValue(o, again, &label, 1) != CKR_OK)
			_exit(1);
		_exit(0);
	}
	assert_int_equal(wait_exit(child), 0);
	assert_int_equal(count_label(h, "theirs", NULL), 0);
	assert_int_equal(count_label(h, "renamed", &key), 1);
	if ((child = fork()) == 0) {
		CK_SESSION_HANDLE o = other_process();

		_exit(count_label(o, "renamed", &again) == 1 && f->C_DestroyObject(o, again) == CKR_OK ? 0 : 1);
	}
	assert_int_equal(wait_exit(child), 0);
	assert_int_equal(count_label(h, "renamed", NULL), 0);
	/* A PIN changed there is the PIN here, for the next login. */
	if ((child = fork()) == 0) {
		CK_SESSION_HANDLE o = other_process();

		_exit(f->C_SetPIN(o, USER_PIN, 4, (CK_UTF8CHAR *)"abcdef", 6) == CKR_OK ? 0 : 1);
	}
	assert_int_equal(wait_exit(child), 0);
	assert_ok(f->C_Logout(h));
	assert_rv(f->C_Login(h, CKU_USER, USER_PIN, 4), CKR_PIN_INCORRECT);
	assert_ok(f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)"abcdef", 6));
	assert_ok(f->C_SetPIN(h, (CK_UTF8CHAR *)"abcdef", 6, USER_PIN, 4));
	assert_ok(f->C_CloseSession(h));
}

/* What a session object is, and what a token object is, after the end. */
static void
test_lasting(void **state)
{
	CK_SESSION_HANDLE h = session_user(), g = session_begin(CKF_RW_SESSION);
	CK_OBJECT_HANDLE pub, priv;

	(void)state;
	(void)key_aes(h, false, "passing");
	(void)key_aes(h, true, "lasting");
	pair_p256(h, true, "pair", &pub, &priv);
	assert_int_equal(count_label(g, "passing", NULL), 1);
	assert_ok(f->C_CloseSession(h));
	assert_int_equal(count_label(g, "passing", NULL), 0);
	assert_int_equal(count_label(g, "lasting", NULL), 1);
	assert_int_equal(count_label(g, "pair", NULL), 2);
	assert_ok(f->C_Logout(g));
	/* Private objects are not there for who is not. */
	assert_int_equal(count_label(g, "lasting", NULL), 0);
	assert_int_equal(count_label(g, "pair", NULL), 1);
	assert_ok(f->C_Login(g, CKU_SO, SO_PIN, 8));
	assert_int_equal(count_label(g, "lasting", NULL), 0);
	assert_ok(f->C_Logout(g));
	assert_ok(f->C_Finalize(NULL));
	assert_ok(f->C_Initialize(NULL));
	h = session_user();
	assert_int_equal(count_label(h, "lasting", NULL), 1);
	assert_int_equal(count_label(h, "pair", NULL), 2);
	assert_ok(f->C_CloseSession(h));
}

/* ---- kills ------------------------------------------------------------------------- */

/* Makes keys, telling each that was acknowledged, until it is killed. */
static void
make_until_killed(int out)
{
	CK_SESSION_HANDLE h = other_process();

	for (unsigned i = 0;; i++) {
		char label[32];
		CK_OBJECT_HANDLE pub, priv;

		(void)snprintf(label, sizeof label, "kill-%ld-%u", (long)getpid(), i);
		pair_p256(h, true, label, &pub, &priv);
		if (write(out, &i, sizeof i) != (ssize_t)sizeof i)
			_exit(1);
		if (i % 3 == 2 && f->C_DestroyObject(h, pub) != CKR_OK)
			_exit(2);
	}
}

static void
test_kill_creating(void **state)
{
	int rounds = getenv("STRONGROOM_SLOW") != NULL ? 2 : 12;
	CK_SESSION_HANDLE h = session_user();
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < rounds; round++) {
		int ends[2], status;
		unsigned last = 0, acknowledged = 0;
		char label[32];
		pid_t child;

		assert_int_equal(pipe(ends), 0);
		if ((child = fork()) == 0)
			make_until_killed(ends[1]);
		close(ends[1]);
		/* Once it works, at any moment. */
		if (read(ends[0], &last, sizeof last) == (ssize_t)sizeof last)
			acknowledged++;
		usleep((useconds_t)(rand_r(&seed) % 40000));
		kill(child, SIGKILL);
		while (read(ends[0], &last, sizeof last) == (ssize_t)sizeof last)
			acknowledged++;
		close(ends[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(acknowledged > 0);
		for (unsigned i = 0; i < acknowledged; i++) {
			CK_ULONG n;

			(void)snprintf(label, sizeof label, "kill-%ld-%u", (long)child, i);
			n = count_label(h, label, NULL);
			/* Both halves of a pair, or one when its end was near. */
			assert_true(n == 2 || (i % 3 == 2 && n == 1));
		}
		/* Of what was not acknowledged: both or none. */
		(void)snprintf(label, sizeof label, "kill-%ld-%u", (long)child, acknowledged);
		assert_true(count_label(h, label, NULL) % 2 == 0);
	}
	assert_ok(f->C_CloseSession(h));
}

/* Killed while the PIN changes: one of the two opens the token, always. */
static void
test_kill_pin(void **state)
{
	CK_UTF8CHAR *pins[2] = { USER_PIN, (CK_UTF8CHAR *)"5678" };
	CK_SESSION_HANDLE h;
	unsigned seed = 3;
	int now = 0;

	(void)state;
	for (int round = 0; round < 8; round++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			CK_SESSION_HANDLE o;

			if (f->C_Initialize(NULL) != CKR_OK
			    || f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &o) != CKR_OK
			    || f->C_Login(o, CKU_USER, pins[now], 4) != CKR_OK)
				_exit(1);
			for (int i = now;; i ^= 1)
				if (f->C_SetPIN(o, pins[i], 4, pins[i ^ 1], 4) != CKR_OK)
					_exit(2);
		}
		usleep((useconds_t)(20000 + rand_r(&seed) % 60000));
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, &status, 0), child);
		h = session_begin(CKF_RW_SESSION);
		if (f->C_Login(h, CKU_USER, pins[now], 4) != CKR_OK) {
			now ^= 1;
			assert_ok(f->C_Login(h, CKU_USER, pins[now], 4));
		}
		assert_int_equal(count_label(h, "lasting", NULL), 1);
		assert_ok(f->C_CloseSession(h));
	}
	h = session_begin(CKF_RW_SESSION);
	assert_ok(f->C_Login(h, CKU_USER, pins[now], 4));
	assert_ok(f->C_SetPIN(h, pins[now], 4, USER_PIN, 4));
	assert_ok(f->C_CloseSession(h));
}

/* A try is on disk before it is judged: killing whoever guesses wins none. */
static void
test_kill_guessing(void **state)
{
	CK_SESSION_HANDLE h;
	CK_TOKEN_INFO info;

	(void)state;
	for (int i = 0; i < 10; i++) {
		pid_t child = fork();
		int status;

		if (child == 0) {
			CK_SESSION_HANDLE o;

			if (f->C_Initialize(NULL) != CKR_OK
			    || f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &o) != CKR_OK)
				_exit(1);
			(void)f->C_Login(o, CKU_USER, (CK_UTF8CHAR *)"0000", 4);
			kill(getpid(), SIGKILL);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	h = session_begin(CKF_RW_SESSION);
	assert_ok(f->C_GetTokenInfo(0, &info));
	assert_true((info.flags & CKF_USER_PIN_LOCKED) != 0);
	assert_rv(f->C_Login(h, CKU_USER, USER_PIN, 4), CKR_PIN_LOCKED);
	assert_ok(f->C_Login(h, CKU_SO, SO_PIN, 8));
	assert_ok(f->C_InitPIN(h, USER_PIN, 4));
	assert_ok(f->C_CloseSession(h));
}

/* ---- damage ---------------------------------------------------------------------------- */

static CK_BYTE *
file_load(const char *name, size_t *len)
{
	FILE *in = fopen(name, "rb");
	CK_BYTE *bytes;

	assert_non_null(in);
	fseek(in, 0, SEEK_END);
	*len = (size_t)ftell(in);
	rewind(in);
	bytes = malloc(*len);
	assert_int_equal(fread(bytes, 1, *len, in), *len);
	fclose(in);
	return bytes;
}

static void
file_store(const char *name, const CK_BYTE *bytes, size_t len)
{
	FILE *out = fopen(name, "wb");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(out);
}

/* All that the token says, or how it refuses. Every answer that comes must be
 * the true one. */
static CK_RV
token_probe(CK_ULONG expected)
{
	CK_MECHANISM m = { CKM_SHA256_HMAC, NULL, 0 };
	CK_OBJECT_HANDLE found[64];
	CK_SESSION_HANDLE h;
	CK_ULONG n = 0;
	CK_RV rv;

	(void)m;
	if ((rv = f->C_Initialize(NULL)) != CKR_OK)
		return rv;
	rv = f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h);
	if (rv == CKR_OK)
		rv = f->C_Login(h, CKU_USER, USER_PIN, 4);
	if (rv == CKR_OK)
		rv = f->C_FindObjectsInit(h, NULL, 0);
	if (rv == CKR_OK)
		rv = f->C_FindObjects(h, found, 64, &n);
	if (rv == CKR_OK && n != expected)
		fail_msg("%lu objects of %lu, and no complaint", n, expected);
	for (CK_ULONG i = 0; i < n && rv == CKR_OK; i++) {
		CK_BYTE label[32];
		CK_ATTRIBUTE get = { CKA_LABEL, label, sizeof label };

		rv = f->C_GetAttributeValue(h, found[i], &get, 1);
		if (rv == CKR_OK && (get.ulValueLen != 6 || memcmp(label, "damage", 6) != 0))
			fail_msg("a wrong label, and no complaint");
	}
	assert_ok(f->C_Finalize(NULL));
	return rv;
}

static void
refused(CK_RV rv)
{
	static const CK_RV fit[] = { CKR_OK, CKR_TOKEN_NOT_RECOGNIZED, CKR_DEVICE_ERROR };

	for (size_t i = 0; i < sizeof fit / sizeof fit[0]; i++)
		if (rv == fit[i])
			return;
	fail_msg("%lx", rv);
}

static void
test_damage(void **state)
{
	int rounds = getenv("STRONGROOM_SLOW") != NULL ? 8 : getenv("STRONGROOM_TEST_FULL") != NULL ? 1000 : 120, harmless = 0;
	CK_SESSION_HANDLE h = session_begin(CKF_RW_SESSION);
	CK_OBJECT_HANDLE found[64];
	CK_OBJECT_HANDLE pub, priv;
	CK_ULONG n;
	CK_BYTE *bytes, *copy;
	unsigned seed = 11;
	size_t len;

	(void)state;
	assert_ok(f->C_CloseSession(h));
	assert_ok(f->C_InitToken(0, SO_PIN, 8, LABEL));
	h = session_begin(CKF_RW_SESSION);
	assert_ok(f->C_Login(h, CKU_SO, SO_PIN, 8));
	assert_ok(f->C_InitPIN(h, USER_PIN, 4));
	assert_ok(f->C_CloseSession(h));
	h = session_user();
	assert_ok(f->C_FindObjectsInit(h, NULL, 0));
	assert_ok(f->C_FindObjects(h, found, 64, &n));
	assert_int_equal(n, 0);
	assert_ok(f->C_FindObjectsFinal(h));
	for (int i = 0; i < 4; i++)
		pair_p256(h, true, "damage", &pub, &priv);
	assert_ok(f->C_Finalize(NULL));
	assert_ok(token_probe(8));
	bytes = file_load(path, &len);
	copy = malloc(len);
	for (int round = 0; round < rounds; round++) {
		size_t size = len, at = (size_t)rand_r(&seed) % len;
		CK_RV rv;

		memcpy(copy, bytes, len);
		switch (round % 4) {
		case 0:
			size = at;
			break;
		case 1: {
			size_t from = (size_t)rand_r(&seed) % len & ~(size_t)4095, to = at & ~(size_t)4095;

			memcpy(copy + to, bytes + from, 4096);
			break;
		}
		default:
			copy[at] ^= (CK_BYTE)(1u << rand_r(&seed) % 8);
			break;
		}
		file_store(path, copy, size);
		rv = token_probe(8);
		refused(rv);
		harmless += rv == CKR_OK;
	}
	/* Some bytes are nobody's, most are not. */
	assert_true(harmless < rounds);
	file_store(path, bytes, len);
	assert_ok(token_probe(8));
	free(bytes);
	free(copy);
	assert_ok(f->C_Initialize(NULL));
}

/* Whoever can write SQL: rows removed, swapped, rolled back. */
static void
test_edited(void **state)
{
	static const char *const edits[] = {
		"DELETE FROM object WHERE id = (SELECT max(id) FROM object)",
		"DELETE FROM body WHERE id = (SELECT min(id) FROM body)",
		"UPDATE object SET private = 0",
		"UPDATE object SET label = randomblob(16) WHERE id = (SELECT min(id) FROM object)",
		"UPDATE body SET sealed = (SELECT sealed FROM body ORDER BY id DESC LIMIT 1)",
		"UPDATE object SET version = version + 1",
		"UPDATE meta SET value = zeroblob(80) WHERE name = 'manifest'",
		"UPDATE meta SET value = x'00' WHERE name = 'header'",
		"DELETE FROM meta WHERE name = 'header'",
		"UPDATE meta SET value = zeroblob(32) WHERE name = 'label'",
		"INSERT INTO object SELECT id + 1000, version, seq + 1000, private, name, class, label, ident FROM object LIMIT 1",
		"DROP TABLE body",
		"PRAGMA user_version = 7",
	};
	CK_BYTE *bytes;
	size_t len;

	(void)state;
	assert_ok(f->C_Finalize(NULL));
	bytes = file_load(path, &len);
	for (size_t i = 0; i < sizeof edits / sizeof edits[0]; i++) {
		sqlite3 *db;
		CK_RV rv;

		file_store(path, bytes, len);
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		if (sqlite3_exec(db, edits[i], NULL, NULL, NULL) != SQLITE_OK)
			fail_msg("%s: %s", edits[i], sqlite3_errmsg(db));
		sqlite3_close(db);
		rv = token_probe(8);
		refused(rv);
		if (rv == CKR_OK)
			fail_msg("nobody noticed: %s", edits[i]);
	}
	file_store(path, bytes, len);
	assert_ok(token_probe(8));
	free(bytes);
	assert_ok(f->C_Initialize(NULL));
}

/* A token's file alone, on another machine: nothing to guess at. */
static void
test_copied(void **state)
{
	char elsewhere[] = "/tmp/strongroom-test.XXXXXX", to[128], was[64];
	CK_TOKEN_INFO info;
	CK_SLOT_ID slots[8];
	CK_ULONG n = 8;
	CK_BYTE *bytes;
	size_t len;

	(void)state;
	assert_ok(f->C_Finalize(NULL));
	assert_non_null(mkdtemp(elsewhere));
	(void)snprintf(to, sizeof to, "%s/tokens", elsewhere);
	assert_int_equal(mkdir(to, 0700), 0);
	(void)snprintf(to, sizeof to, "%s/tokens/0.token", elsewhere);
	bytes = file_load(path, &len);
	file_store(to, bytes, len);
	free(bytes);
	strcpy(was, home);
	assert_int_equal(setenv("STRONGROOM_HOME", elsewhere, 1), 0);
	assert_ok(f->C_Initialize(NULL));
	assert_ok(f->C_GetSlotList(CK_TRUE, slots, &n));
	assert_int_equal(n, 2);
	assert_rv(f->C_GetTokenInfo(0, &info), CKR_TOKEN_NOT_RECOGNIZED);
	/* The rest is served. */
	assert_ok(f->C_InitToken(1, SO_PIN, 8, LABEL));
	assert_ok(f->C_GetTokenInfo(1, &info));
	assert_ok(f->C_Finalize(NULL));
	assert_int_equal(nftw(elsewhere, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(setenv("STRONGROOM_HOME", was, 1), 0);
	assert_ok(f->C_Initialize(NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_other_process),
		cmocka_unit_test(test_lasting),
		cmocka_unit_test(test_kill_creating),
		cmocka_unit_test(test_kill_pin),
		cmocka_unit_test(test_kill_guessing),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_edited),
		cmocka_unit_test(test_copied),
	};

	return cmocka_run_group_tests(tests, begin, home_end);
}
