/* host.c - a program that uses the Cryptoki module, told what to do through a pipe.
 *
 *   host MODULE [--readable]
 *
 * --readable: no memfd_secret, so that the module's secret memory can be read
 * by a search: the control that shows what an unhidden key would look like.
 *
 * A request is: what to do u8 | length u32 | bytes; the answer: length u32 |
 * bytes. Numbers are little-endian; a call that fails ends the program. Bytes
 * that came in are wiped before the answer goes out: what a search finds
 * afterwards, the module left.
 *
 *   t  SO PIN u8+bytes | user PIN u8+bytes: initialise the module, make a token, log in
 *   k  attributes (type u32 | length u32 | bytes)...: C_CreateObject; answers the handle u64
 *   j  a job for the threads: key u64 | mechanism u64 | decrypts u8 | message. One is done at once, and
 *      answered: the signature or ciphertext
 *   w  eight threads do the jobs, over and over        i  they wait, idle
 *   n  answers the last results of the first job (each u32 length | bytes)
 *   d  C_DestroyObject of every object    l  C_Logout, sessions closed    f  C_Finalize
 *   m  keep these bytes in ordinary memory: a control
 *   h  hide: PR_SET_DUMPABLE 0
 *   a  end with a core. What is kept, its first 16 bytes turned over bit by bit, is then in a vector register
 *      and nowhere else: the control that registers are searched too */
#include <dlfcn.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <pkcs11.h>

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

#define THREADS 8
#define JOBS 16
#define ROOM ((size_t)1 << 16)
#define KEPT 64

static CK_FUNCTION_LIST *p11;
static CK_SLOT_ID slot;
static CK_SESSION_HANDLE keeper;
static uint8_t *request;                /* locked, wiped after use */
static uint8_t answer[ROOM];

static struct job { CK_OBJECT_HANDLE key; CK_MECHANISM mech; bool decrypts; uint8_t params[256], message[512]; CK_ULONG len; } jobs[JOBS];
static size_t job_count;
static struct { uint8_t bytes[512]; uint32_t len; } results[KEPT];
static atomic_uint result_count;

static pthread_t threads[THREADS];
static bool have_threads;
static pthread_barrier_t gate;
static atomic_bool working;

static void *kept;

static void
check(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	fprintf(stderr, "host: %s: 0x%lx\n", what, rv);
	exit(1);
}

static void
read_all(void *out, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t got = read(0, (uint8_t *)out + at, len - at);

		if (got <= 0)
			exit(0);
		at += (size_t)got;
	}
}

static void
write_all(const void *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t put = write(1, (const uint8_t *)bytes + at, len - at);

		if (put <= 0)
			exit(1);
		at += (size_t)put;
	}
}

static uint64_t
number(const uint8_t *at, size_t len)
{
	uint64_t n = 0;

	memcpy(&n, at, len);
	return n;
}

/* ---- what is done with keys --------------------------------------------------- */

/* An AES-GCM IV and its like: fixed, for the messages mean nothing. */
static void
job_params(struct job *j)
{
	static const uint8_t iv[16] = "fixed for a test";

	if (j->mech.mechanism == CKM_AES_GCM) {
		CK_GCM_PARAMS gcm = { .pIv = (CK_BYTE *)(uintptr_t)iv, .ulIvLen = 12, .ulIvBits = 96, .ulTagBits = 128 };

		memcpy(j->params, &gcm, sizeof gcm);
		j->mech.pParameter = j->params;
		j->mech.ulParameterLen = sizeof gcm;
	} else if (j->mech.mechanism == CKM_AES_CBC || j->mech.mechanism == CKM_AES_CTR) {
		memcpy(j->params, iv, 16);
		j->mech.pParameter = j->params;
		j->mech.ulParameterLen = 16;
	}
}

static bool
ciphers(CK_MECHANISM_TYPE mech)
{
	return mech == CKM_AES_GCM || mech == CKM_AES_CBC || mech == CKM_AES_ECB;
}

static CK_RV
job_do(CK_SESSION_HANDLE session, const struct job *j, uint8_t *out, CK_ULONG *len)
{
	CK_MECHANISM mech = j->mech;
	CK_RV rv;

	if (j->decrypts) {
		if ((rv = p11->C_DecryptInit(session, &mech, j->key)) != CKR_OK)
			return rv;
		return p11->C_Decrypt(session, (CK_BYTE *)(uintptr_t)j->message, j->len, out, len);
	}
	if (ciphers(mech.mechanism)) {
		if ((rv = p11->C_EncryptInit(session, &mech, j->key)) != CKR_OK)
			return rv;
		return p11->C_Encrypt(session, (CK_BYTE *)(uintptr_t)j->message, j->len, out, len);
	}
	if ((rv = p11->C_SignInit(session, &mech, j->key)) != CKR_OK)
		return rv;
	return p11->C_Sign(session, (CK_BYTE *)(uintptr_t)j->message, j->len, out, len);
}

static void
result_keep(const uint8_t *bytes, CK_ULONG len)
{
	unsigned at = atomic_fetch_add(&result_count, 1) % KEPT;

	if (len <= sizeof results[at].bytes) {
		memcpy(results[at].bytes, bytes, len);
		results[at].len = (uint32_t)len;
	}
}

static void *
thread_run(void *arg)
{
	CK_SESSION_HANDLE session;
	uint8_t out[8192];

	(void)arg;
	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session), "C_OpenSession");
	for (;;) {
		pthread_barrier_wait(&gate);
		while (atomic_load(&working)) {
			for (size_t i = 0; i < job_count; i++) {
				CK_ULONG len = sizeof out;

				check(job_do(session, &jobs[i], out, &len), "a job");
				if (i == 0)
					result_keep(out, len);
			}
		}
		pthread_barrier_wait(&gate);
	}
	return NULL;
}

/* ---- the requests ----------------------------------------------------------------- */

static uint32_t
token_make(void)
{
	uint8_t *so = request + 1, *user = so + request[0] + 1;
	CK_ULONG so_len = request[0], user_len = user[-1], count = 1;
	CK_UTF8CHAR label[32];
	CK_C_INITIALIZE_ARGS init = { .flags = CKF_OS_LOCKING_OK };

	memset(label, ' ', sizeof label);
	memcpy(label, "secrecy", 7);
	check(p11->C_Initialize(&init), "C_Initialize");
	check(p11->C_GetSlotList(CK_FALSE, &slot, &count), "C_GetSlotList");
	check(p11->C_InitToken(slot, so, so_len, label), "C_InitToken");
	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &keeper), "C_OpenSession");
	check(p11->C_Login(keeper, CKU_SO, so, so_len), "C_Login");
	check(p11->C_InitPIN(keeper, user, user_len), "C_InitPIN");
	check(p11->C_Logout(keeper), "C_Logout");
	check(p11->C_Login(keeper, CKU_USER, user, user_len), "C_Login");
	return 0;
}

static uint32_t
key_make(size_t len)
{
	CK_ATTRIBUTE attrs[32];
	CK_OBJECT_HANDLE handle;
	CK_ULONG n = 0;

	for (size_t at = 0; at + 8 <= len && n < 32; n++) {
		attrs[n] = (CK_ATTRIBUTE){ number(request + at, 4), request + at + 8, number(request + at + 4, 4) };
		at += 8 + attrs[n].ulValueLen;
	}
	check(p11->C_CreateObject(keeper, attrs, n, &handle), "C_CreateObject");
	memcpy(answer, &handle, 8);
	return 8;
}

static uint32_t
job_add(size_t len)
{
	struct job *j = &jobs[job_count];
	CK_ULONG got = ROOM;

	if (job_count == JOBS || len < 17 || len - 17 > sizeof j->message)
		exit(1);
	j->key = number(request, 8);
	j->mech.mechanism = number(request + 8, 8);
	j->decrypts = request[16] != 0;
	j->len = len - 17;
	memcpy(j->message, request + 17, len - 17);
	job_params(j);
	job_count++;
	check(job_do(keeper, j, answer, &got), "a job");
	return (uint32_t)got;
}

static uint32_t
threads_set(bool work)
{
	if (!have_threads) {
		pthread_barrier_init(&gate, NULL, THREADS + 1);
		for (int i = 0; i < THREADS; i++)
			check((CK_RV)pthread_create(&threads[i], NULL, thread_run, NULL), "pthread_create");
		have_threads = true;
	}
	atomic_store(&working, work);
	pthread_barrier_wait(&gate);
	return 0;
}

static uint32_t
results_give(void)
{
	unsigned n = atomic_load(&result_count);
	uint32_t at = 0;

	for (unsigned i = 0; i < (n < KEPT ? n : KEPT); i++) {
		memcpy(answer + at, &results[i].len, 4);
		memcpy(answer + at + 4, results[i].bytes, results[i].len);
		at += 4 + results[i].len;
	}
	return at;
}

static uint32_t
objects_destroy(void)
{
	CK_OBJECT_HANDLE found[64];
	CK_ULONG n = 0;

	check(p11->C_FindObjectsInit(keeper, NULL, 0), "C_FindObjectsInit");
	check(p11->C_FindObjects(keeper, found, 64, &n), "C_FindObjects");
	check(p11->C_FindObjectsFinal(keeper), "C_FindObjectsFinal");
	for (CK_ULONG i = 0; i < n; i++)
		check(p11->C_DestroyObject(keeper, found[i]), "C_DestroyObject");
	memcpy(answer, &n, 4);
	return 4;
}

static uint32_t
leave(void)
{
	check(p11->C_Logout(keeper), "C_Logout");
	check(p11->C_CloseAllSessions(slot), "C_CloseAllSessions");
	return 0;
}

static uint32_t
keep(size_t len)
{
	free(kept);
	if ((kept = malloc(len)) == NULL)
		exit(1);
	memcpy(kept, request, len);
	return 0;
}

static _Noreturn void
end_with_core(void)
{
#if defined(__x86_64__)
	__asm__ volatile("movdqu (%0), %%xmm15\n\tpcmpeqd %%xmm14, %%xmm14\n\tpxor %%xmm14, %%xmm15\n\tud2" : : "r"(kept) : "xmm14", "xmm15", "memory");
#endif
	abort();
}

static uint32_t
serve(char what, size_t len)
{
	switch (what) {
	case 't': return token_make();
	case 'k': return key_make(len);
	case 'j': return job_add(len);
	case 'w': return threads_set(true);
	case 'i': return threads_set(false);
	case 'n': return results_give();
	case 'd': return objects_destroy();
	case 'l': return leave();
	case 'f': check(p11->C_Finalize(NULL), "C_Finalize"); return 0;
	case 'm': return keep(len);
	case 'h': check((CK_RV)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl"); return 0;
	case 'a': end_with_core();
	default: exit(1);
	}
}

/* memfd_secret answers ENOSYS, as on a kernel without it. */
static void
secret_memory_deny(void)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_secret, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 38),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof rows / sizeof *rows, rows };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
		exit(1);
}

int
main(int argc, char **argv)
{
	CK_RV (*list)(CK_FUNCTION_LIST **) = NULL;
	void *image, *symbol;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
	if (argc == 3 && strcmp(argv[2], "--readable") == 0)
		secret_memory_deny();
	image = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	symbol = image == NULL ? NULL : dlsym(image, "C_GetFunctionList");
	request = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (symbol == NULL || request == MAP_FAILED)
		return 1;
	memcpy(&list, &symbol, sizeof list);
	check(list(&p11), "C_GetFunctionList");
	for (;;) {
		uint8_t head[5];
		uint32_t len;

		read_all(head, sizeof head);
		if ((len = (uint32_t)number(head + 1, 4)) > ROOM)
			return 1;
		read_all(request, len);
		len = serve((char)head[0], len);
		explicit_bzero(request, ROOM);
		write_all(&len, sizeof len);
		write_all(answer, len);
	}
}
