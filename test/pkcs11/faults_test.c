/* faults_test.c - what happens to a token when the process is killed at the
 * n-th write to disk, in the middle of it, when the disk is full from then on,
 * or when the device reports an error: for every n. The module's calls to the
 * C library meet the functions of this program first. */
#include "room.h"

#include <limits.h>
#include <sys/syscall.h>

/* ---- the faults ------------------------------------------------------------------- */

enum fault { FAULT_NONE, FAULT_KILL, FAULT_TORN, FAULT_FULL, FAULT_ERROR, FAULTS };
static const char *const fault_names[FAULTS] = { "none", "killed", "killed in the middle", "disk full", "device error" };

static enum fault fault_mode;
static int fault_left;                  /* calls until it happens; 0: it did */

static void
die(void)
{
	(void)syscall(SYS_kill, getpid(), SIGKILL);
}

/* Whether this call fails, with errno set. `grows`: it needs room on the disk. */
static bool
fault_hits(bool grows)
{
	if (fault_mode == FAULT_NONE || fault_mode == FAULT_TORN)
		return false;
	if (fault_left > 0 && --fault_left > 0)
		return false;
	if (fault_mode == FAULT_KILL)
		die();
	if (fault_mode == FAULT_FULL) {
		errno = ENOSPC;
		return grows;
	}
	/* Once. */
	fault_mode = FAULT_NONE;
	errno = EIO;
	return true;
}

/* Whether the process ends in the middle of this call. */
static bool
fault_tears(void)
{
	return fault_mode == FAULT_TORN && fault_left > 0 && --fault_left == 0;
}

#pragma GCC visibility push(default)
ssize_t
pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	if (fault_hits(true))
		return -1;
	if (fault_tears()) {
		(void)syscall(SYS_pwrite64, fd, bytes, len / 2, at);
		die();
	}
	return (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t
pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	return pwrite64(fd, bytes, len, at);
}

ssize_t
write(int fd, const void *bytes, size_t len)
{
	if (fault_hits(true))
		return -1;
	if (fault_tears()) {
		(void)syscall(SYS_write, fd, bytes, len / 2);
		die();
	}
	return (ssize_t)syscall(SYS_write, fd, bytes, len);
}

#define DONE_THEN_TORN(call) do { \
	long rc_ = fault_hits(false) ? -1 : (call); \
	if (fault_tears()) \
		die(); \
	return (int)rc_; \
} while (0)

int fsync(int fd) { DONE_THEN_TORN(syscall(SYS_fsync, fd)); }
int fdatasync(int fd) { DONE_THEN_TORN(syscall(SYS_fdatasync, fd)); }
int ftruncate64(int fd, off64_t len) { DONE_THEN_TORN(syscall(SYS_ftruncate, fd, len)); }
int ftruncate(int fd, off_t len) { DONE_THEN_TORN(syscall(SYS_ftruncate, fd, len)); }
int unlink(const char *path) { DONE_THEN_TORN(syscall(SYS_unlinkat, AT_FDCWD, path, 0)); }
int rename(const char *from, const char *to) { DONE_THEN_TORN(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0)); }
int
renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	DONE_THEN_TORN(syscall(SYS_renameat2, from_fd, from, to_fd, to, flags));
}
int
link(const char *from, const char *to)
{
	DONE_THEN_TORN(syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0));
}

static int
open_faulted(const char *path, int flags, mode_t mode)
{
	if ((flags & O_CREAT) != 0 && fault_hits(true))
		return -1;
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		va_list args; \
		mode_t mode; \
		va_start(args, flags); \
		mode = (flags & O_CREAT) != 0 ? va_arg(args, mode_t) : 0; \
		va_end(args); \
		return open_faulted(path, flags, mode); \
	}
OPEN(open)
OPEN(open64)
#pragma GCC visibility pop

/* ---- processes --------------------------------------------------------------------- */


/* The exit status of `work` in a child, or -1 when it was killed. */
static int
in_child(int (*work)(const void *arg), const void *arg)
{
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(work(arg));
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	assert_int_equal(WTERMSIG(status), SIGKILL);
	return -1;
}

static void
home_load(const char *from)
{
	char line[512];

	(void)snprintf(line, sizeof line, "cd %s && rm -rf tokens device && cp -a saved/%s/. .", home, from);
	assert_int_equal(system(line), 0);
}

static void
home_save(const char *to)
{
	char line[512];

	(void)snprintf(line, sizeof line, "cd %s && mkdir -p saved/%s && cp -a tokens device saved/%s", home, to, to);
	assert_int_equal(system(line), 0);
}

static CK_SESSION_HANDLE
session_at(CK_SLOT_ID slot)
{
	CK_SESSION_HANDLE h = 0;

	return f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h) == CKR_OK ? h : 0;
}

static CK_RV
data_make(CK_SESSION_HANDLE h, const char *label, const char *value)
{
	CK_OBJECT_CLASS data = CKO_DATA;
	CK_OBJECT_HANDLE made;
	CK_ATTRIBUTE t[] = {
		{ CKA_CLASS, &data, sizeof data }, { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &no, 1 },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) }, { CKA_VALUE, (void *)(uintptr_t)value, strlen(value) },
	};

	return f->C_CreateObject(h, t, sizeof t / sizeof t[0], &made);
}

static CK_OBJECT_HANDLE
object_of(CK_SESSION_HANDLE h, const char *label)
{
	CK_OBJECT_HANDLE first = 0;

	return count_label(h, label, &first) == 1 ? first : 0;
}

/* ---- the operations: done, and looked for afterwards ---------------------------------- */

#define OLD 10
#define NEW 11
#define BROKEN 12

static CK_RV
act_create(CK_SESSION_HANDLE h)
{
	return data_make(h, "made", "value");
}

static int
look_create(CK_SESSION_HANDLE h)
{
	CK_ULONG n = count_label(h, "made", NULL);

	return n == 0 ? OLD : n == 1 ? NEW : BROKEN;
}

static CK_RV
act_pair(CK_SESSION_HANDLE h)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof p256 }, { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &no, 1 }, { CKA_LABEL, "pair", 4 } };
	CK_ATTRIBUTE priv[] = { { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &no, 1 }, { CKA_LABEL, "pair", 4 }, { CKA_SIGN, &yes, 1 } };
	CK_MECHANISM m = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_OBJECT_HANDLE a, b;

	return f->C_GenerateKeyPair(h, &m, pub, 4, priv, 4, &a, &b);
}

static int
look_pair(CK_SESSION_HANDLE h)
{
	CK_ULONG n = count_label(h, "pair", NULL);
	CK_OBJECT_HANDLE key;
	CK_MECHANISM m = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_BYTE signature[64];
	CK_ULONG len = sizeof signature;
	CK_OBJECT_CLASS private = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE t[] = { { CKA_CLASS, &private, sizeof private }, { CKA_LABEL, "pair", 4 } };

	if (n != 2)
		return n == 0 ? OLD : BROKEN;
	if (f->C_FindObjectsInit(h, t, 2) != CKR_OK || f->C_FindObjects(h, &key, 1, &n) != CKR_OK || n != 1
	    || f->C_FindObjectsFinal(h) != CKR_OK || f->C_SignInit(h, &m, key) != CKR_OK
	    || f->C_Sign(h, signature, 5, signature, &len) != CKR_OK)
		return BROKEN;
	return NEW;
}

static CK_RV
act_rename(CK_SESSION_HANDLE h)
{
	CK_ATTRIBUTE t = { CKA_LABEL, "after", 5 };

	return f->C_SetAttributeValue(h, object_of(h, "before"), &t, 1);
}

static int
look_rename(CK_SESSION_HANDLE h)
{
	CK_ULONG before = count_label(h, "before", NULL), after = count_label(h, "after", NULL);

	return before + after != 1 ? BROKEN : before == 1 ? OLD : NEW;
}

static CK_RV
act_destroy(CK_SESSION_HANDLE h)
{
	return f->C_DestroyObject(h, object_of(h, "before"));
}

static int
look_destroy(CK_SESSION_HANDLE h)
{
	return count_label(h, "before", NULL) == 1 ? OLD : NEW;
}

static CK_RV
act_copy(CK_SESSION_HANDLE h)
{
	CK_ATTRIBUTE t = { CKA_LABEL, "copy", 4 };
	CK_OBJECT_HANDLE made;

	return f->C_CopyObject(h, object_of(h, "before"), &t, 1, &made);
}

static int
look_copy(CK_SESSION_HANDLE h)
{
	CK_ULONG n = count_label(h, "copy", NULL);

	return count_label(h, "before", NULL) != 1 || n > 1 ? BROKEN : n == 0 ? OLD : NEW;
}

static CK_RV
act_set_pin(CK_SESSION_HANDLE h)
{
	return f->C_SetPIN(h, USER_PIN, 4, (CK_UTF8CHAR *)"5678", 4);
}

static int
look_set_pin(CK_SESSION_HANDLE h)
{
	if (f->C_Login(h, CKU_USER, USER_PIN, 4) == CKR_OK)
		return OLD;
	return f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)"5678", 4) == CKR_OK ? NEW : BROKEN;
}

static CK_RV
act_init_pin(CK_SESSION_HANDLE h)
{
	return f->C_InitPIN(h, (CK_UTF8CHAR *)"5678", 4);
}

/* On the token that is there: all of the old one, or a new one without anything. */
static CK_RV
act_reset(CK_SESSION_HANDLE h)
{
	CK_RV rv = f->C_CloseSession(h);

	return rv == CKR_OK ? f->C_InitToken(0, SO_PIN, 8, (CK_UTF8CHAR *)"again                           ") : rv;
}

static int
look_reset(CK_SESSION_HANDLE h)
{
	CK_TOKEN_INFO info;
	bool again;

	if (f->C_GetTokenInfo(0, &info) != CKR_OK)
		return BROKEN;
	again = memcmp(info.label, "again ", 6) == 0;
	if (again != ((info.flags & CKF_USER_PIN_INITIALIZED) == 0) || again != (count_label(h, "before", NULL) == 0))
		return BROKEN;
	if (again)
		return f->C_Login(h, CKU_SO, SO_PIN, 8) == CKR_OK && f->C_InitPIN(h, USER_PIN, 4) == CKR_OK ? NEW : BROKEN;
	return f->C_Login(h, CKU_USER, USER_PIN, 4) == CKR_OK ? OLD : BROKEN;
}

/* In the slot that is free. */
static CK_RV
act_make(CK_SESSION_HANDLE h)
{
	(void)h;
	return f->C_InitToken(1, SO_PIN, 8, LABEL);
}

static int
look_make(CK_SESSION_HANDLE h)
{
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE own;

	(void)h;
	if (f->C_GetTokenInfo(1, &info) != CKR_OK)
		return BROKEN;
	if ((info.flags & CKF_TOKEN_INITIALIZED) == 0)
		return f->C_InitToken(1, SO_PIN, 8, LABEL) == CKR_OK ? OLD : BROKEN;
	own = session_at(1);
	return own != 0 && f->C_Login(own, CKU_SO, SO_PIN, 8) == CKR_OK ? NEW : BROKEN;
}

/* A wrong PIN, when two tries are left. */
static CK_RV
act_guess(CK_SESSION_HANDLE h)
{
	CK_RV rv = f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)"0000", 4);

	return rv == CKR_PIN_INCORRECT ? CKR_OK : rv;
}

/* Whoever was told that a PIN is wrong has paid for it. */
static int
look_guess(CK_SESSION_HANDLE h)
{
	int told = 0;
	CK_RV rv;

	while ((rv = f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)"0000", 4)) == CKR_PIN_INCORRECT)
		told++;
	if (rv != CKR_PIN_LOCKED || told > 2)
		return BROKEN;
	return told == 2 ? OLD : NEW;
}

enum before { NOBODY, USER, OFFICER, GUESSED };
static const struct op {
	const char *name;
	enum before before;
	bool slow;                      /* asks for a PIN's key: a sample in the short run */
	CK_RV (*act)(CK_SESSION_HANDLE h);
	int (*look)(CK_SESSION_HANDLE h);
} ops[] = {
	{ "C_CreateObject", NOBODY, false, act_create, look_create },
	{ "C_GenerateKeyPair", NOBODY, false, act_pair, look_pair },
	{ "C_SetAttributeValue", NOBODY, false, act_rename, look_rename },
	{ "C_DestroyObject", NOBODY, false, act_destroy, look_destroy },
	{ "C_CopyObject", NOBODY, false, act_copy, look_copy },
	{ "C_SetPIN", USER, true, act_set_pin, look_set_pin },
	{ "C_InitPIN", OFFICER, true, act_init_pin, look_set_pin },
	{ "C_InitToken on a token", NOBODY, true, act_reset, look_reset },
	{ "C_InitToken on a free slot", NOBODY, true, act_make, look_make },
	{ "C_Login with a wrong PIN", GUESSED, true, act_guess, look_guess },
};

struct round { const struct op *op; enum fault mode; int at; };

#define NO_FAULT 20             /* done before the fault came */
#define TOLD 21                 /* acknowledged, though the fault came */
#define REFUSED 22
#define WRONG 23

static CK_SESSION_HANDLE
round_begin(const struct op *op)
{
	CK_SESSION_HANDLE h = f->C_Initialize(NULL) == CKR_OK ? session_at(0) : 0;

	if (h == 0 || (op->before == USER && f->C_Login(h, CKU_USER, USER_PIN, 4) != CKR_OK)
	    || (op->before == OFFICER && f->C_Login(h, CKU_SO, SO_PIN, 8) != CKR_OK))
		_exit(WRONG);
	return h;
}

/* The operation under the fault. A refusal has a name, and leaves a process that goes on. */
static int
round_act(const void *arg)
{
	const struct round *r = arg;
	CK_SESSION_HANDLE h = round_begin(r->op);
	bool came;
	CK_RV rv;

	fault_left = r->at;
	fault_mode = r->mode;
	rv = r->op->act(h);
	came = fault_left == 0;
	fault_mode = FAULT_NONE;
	if (rv == CKR_OK)
		return came ? TOLD : NO_FAULT;
	if (!came || (rv != CKR_DEVICE_MEMORY && rv != CKR_DEVICE_ERROR)) {
		fprintf(stderr, "%s, %s at %d: %lx\n", r->op->name, fault_names[r->mode], r->at, rv);
		return WRONG;
	}
	if (r->op->before != NOBODY || r->op->slow)
		return REFUSED;
	/* A device that fails in the last sync of all has kept the change: nobody
	 * can take it back, so it is refused and there, whole. */
	if (r->mode == FAULT_ERROR && r->op->look(h) == NEW)
		return TOLD;
	/* Nothing stands in the way of a second try, once there is room. */
	return r->op->look(h) == OLD && r->op->act(h) == CKR_OK && r->op->look(h) == NEW ? TOLD : WRONG;
}

/* What another process finds. Whatever else was there is there. */
static int
round_look(const void *arg)
{
	const struct round *r = arg;
	CK_SESSION_HANDLE h;
	int found;

	if (f->C_Initialize(NULL) != CKR_OK || (h = session_at(0)) == 0)
		return BROKEN;
	found = r->op->look(h);
	if (r->op->act != act_reset && count_label(h, "kept", NULL) != 2)
		return BROKEN;
	return found;
}

/* One fault in one operation; false when the operation was done before it. */
static bool
round_run(const struct round *r)
{
	int acted, found;

	home_load(r->op->before == GUESSED ? "guessed" : "plain");
	acted = in_child(round_act, r);
	found = in_child(round_look, r);
	if (acted == WRONG || (acted != -1 && acted != NO_FAULT && acted != TOLD && acted != REFUSED)
	    || (acted == -1) != ((r->mode == FAULT_KILL || r->mode == FAULT_TORN) && acted != NO_FAULT)
	    || (found != OLD && found != NEW) || ((acted == NO_FAULT || acted == TOLD) && found != NEW))
		fail_msg("%s, %s at %d: the process said %d, another found %d", r->op->name, fault_names[r->mode], r->at, acted, found);
	return acted != NO_FAULT;
}

/* Everything once, at full speed; a sample where the sanitizers look on. */
static bool
is_full(void)
{
#ifdef __SANITIZE_ADDRESS__
	return false;
#else
	return getenv("STRONGROOM_TEST_FULL") != NULL;
#endif
}

static void
test_faults(void **state)
{
	unsigned all = 0;

	(void)state;
	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
		for (int mode = FAULT_KILL; mode < FAULTS; mode++) {
			struct round r = { &ops[i], (enum fault)mode, 1 };
			int step = is_full() ? 1 : ops[i].slow ? 11 : 5;

			/* The places of one mode lie between those of another. */
			for (r.at += is_full() ? 0 : mode % step; round_run(&r); r.at += step)
				all++;
			if (r.at == 1)
				fail_msg("%s writes nothing", ops[i].name);
		}
	print_message("%u faults\n", all);
}

/* ---- killed at any moment ------------------------------------------------------------ */

static int
work_on(const void *arg)
{
	const struct op *op = ((const struct round *)arg)->op;
	CK_SESSION_HANDLE h = round_begin(op);
	CK_BYTE ready = 1;

	if (write(((const struct round *)arg)->at, &ready, 1) != 1)
		return WRONG;
	ready = 2;
	if (op->act(h) == CKR_OK && write(((const struct round *)arg)->at, &ready, 1) == 1)
		pause();
	return WRONG;
}

/* A process killed with no regard to what it does; what it was told is so. */
static void
kill_once(const struct op *op, useconds_t after)
{
	struct round r = { op, FAULT_NONE, 0 };
	CK_BYTE said = 0, last = 0;
	int ends[2], status, found;
	pid_t child;

	home_load(op->before == GUESSED ? "guessed" : "plain");
	assert_int_equal(pipe(ends), 0);
	r.at = ends[1];
	if ((child = fork()) == 0)
		_exit(work_on(&r));
	close(ends[1]);
	assert_int_equal(read(ends[0], &said, 1), 1);
	usleep(after);
	kill(child, SIGKILL);
	while (read(ends[0], &said, 1) == 1)
		last = said;
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	found = in_child(round_look, &r);
	if ((found != OLD && found != NEW) || (last == 2 && found != NEW))
		fail_msg("%s killed after %u us: told %d, found %d", op->name, after, last, found);
}

static void
test_kills(void **state)
{
	static const size_t which[] = { 0, 1, 5, 7, 9 };
	/* About how long each takes. */
	static const useconds_t span[] = { 3000, 3000, 260000, 140000, 140000 };
	int kills = is_full() ? 1000 : 30;
	unsigned seed = 5;

	(void)state;
	for (int i = 0; i < kills; i++)
		kill_once(&ops[which[i % 5]], (useconds_t)rand_r(&seed) % span[i % 5]);
}

/* ---- the token all rounds start from --------------------------------------------------- */

static int
prepare(const void *arg)
{
	CK_SESSION_HANDLE h;

	(void)arg;
	if (f->C_Initialize(NULL) != CKR_OK)
		return 1;
	token_begin();
	h = session_at(0);
	if (data_make(h, "kept", "one") != CKR_OK || data_make(h, "kept", "two") != CKR_OK || data_make(h, "before", "three") != CKR_OK)
		return 1;
	return 0;
}

/* The same token, with two of its tries left. */
static int
guess(const void *arg)
{
	CK_SESSION_HANDLE h;

	(void)arg;
	if (f->C_Initialize(NULL) != CKR_OK || (h = session_at(0)) == 0)
		return 1;
	for (int i = 0; i < 8; i++)
		if (f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)"0000", 4) != CKR_PIN_INCORRECT)
			return 1;
	return 0;
}

static int
begin(void **state)
{
	if (home_begin(state) != 0 || in_child(prepare, NULL) != 0)
		return -1;
	home_save("plain");
	if (in_child(guess, NULL) != 0)
		return -1;
	home_save("guessed");
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_kills),
	};

	return cmocka_run_group_tests(tests, begin, home_end);
}
