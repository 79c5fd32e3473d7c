/* room.h - a token in a home of its own, through the module's .so as any
 * program loads it. */
#ifndef STRONGROOM_TEST_PKCS11_ROOM_H
#define STRONGROOM_TEST_PKCS11_ROOM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pkcs11.h>

static CK_FUNCTION_LIST_3_2 *f;
static char home[64];

#define SO_PIN ((CK_UTF8CHAR *)"87654321")
#define USER_PIN ((CK_UTF8CHAR *)"1234")
#define LABEL ((CK_UTF8CHAR *)"room                            ")

#define assert_rv(call, want) assert_int_equal((call), (want))
#define assert_ok(call) assert_int_equal((call), CKR_OK)

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Token flag of ours: secret memory is weaker than memfd_secret. */
#define WEAKENED 0x80000000UL

__attribute__((unused)) static int
home_end(void **state)
{
	(void)state;
	if (f != NULL)
		(void)f->C_Finalize(NULL);
	return nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The module, loaded once; a fresh home. */
__attribute__((unused)) static int
home_begin(void **state)
{
	static const CK_VERSION newest = { 3, 2 };
	CK_C_GetInterface get;
	CK_INTERFACE *found = NULL;
	void *image = dlopen(MODULE_FILE, RTLD_NOW | RTLD_LOCAL);

	(void)state;
	if (image == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return -1;
	}
	*(void **)&get = dlsym(image, "C_GetInterface");
	if (get == NULL || get((CK_UTF8CHAR *)"PKCS 11", (CK_VERSION *)&newest, &found, 0) != CKR_OK)
		return -1;
	f = found->pFunctionList;
	/* Syncing costs nothing there, and nothing here cuts the power. */
	strcpy(home, access("/dev/shm", W_OK) == 0 ? "/dev/shm/strongroom-test.XXXXXX" : "/tmp/strongroom-test.XXXXXX");
	if (mkdtemp(home) == NULL)
		return -1;
	return setenv("STRONGROOM_HOME", home, 1);
}

/* A token in slot 0, both PINs set, nobody logged in. */
__attribute__((unused)) static void
token_begin(void)
{
	CK_SESSION_HANDLE h;

	assert_ok(f->C_InitToken(0, SO_PIN, 8, LABEL));
	assert_ok(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h));
	assert_ok(f->C_Login(h, CKU_SO, SO_PIN, 8));
	assert_ok(f->C_InitPIN(h, USER_PIN, 4));
	assert_ok(f->C_CloseSession(h));
}

__attribute__((unused)) static CK_SESSION_HANDLE
session_begin(CK_FLAGS flags)
{
	CK_SESSION_HANDLE h = 0;

	assert_ok(f->C_OpenSession(0, CKF_SERIAL_SESSION | flags, NULL, NULL, &h));
	return h;
}

__attribute__((unused)) static CK_SESSION_HANDLE
session_user(void)
{
	CK_SESSION_HANDLE h = session_begin(CKF_RW_SESSION);

	assert_ok(f->C_Login(h, CKU_USER, USER_PIN, 4));
	return h;
}

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

__attribute__((unused)) static CK_OBJECT_HANDLE
key_aes(CK_SESSION_HANDLE h, bool token, const char *label)
{
	CK_ULONG len = 32;
	CK_ATTRIBUTE t[] = {
		{ CKA_VALUE_LEN, &len, sizeof len }, { CKA_TOKEN, token ? &yes : &no, 1 },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) }, { CKA_ENCRYPT, &yes, 1 }, { CKA_DECRYPT, &yes, 1 },
		{ CKA_EXTRACTABLE, &yes, 1 },
	};
	CK_MECHANISM m = { CKM_AES_KEY_GEN, NULL, 0 };
	CK_OBJECT_HANDLE key = 0;

	assert_ok(f->C_GenerateKey(h, &m, t, sizeof t / sizeof t[0], &key));
	return key;
}

__attribute__((unused)) static void
pair_p256(CK_SESSION_HANDLE h, bool token, const char *label, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *priv)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 };
	CK_ATTRIBUTE pt[] = {
		{ CKA_EC_PARAMS, p256, sizeof p256 }, { CKA_TOKEN, token ? &yes : &no, 1 },
		{ CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
	};
	CK_ATTRIBUTE st[] = {
		{ CKA_TOKEN, token ? &yes : &no, 1 }, { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) },
	};
	CK_MECHANISM m = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };

	assert_ok(f->C_GenerateKeyPair(h, &m, pt, 3, st, 2, pub, priv));
}

/* How many objects carry the label. */
__attribute__((unused)) static CK_ULONG
count_label(CK_SESSION_HANDLE h, const char *label, CK_OBJECT_HANDLE *first)
{
	CK_ATTRIBUTE t = { CKA_LABEL, (void *)(uintptr_t)label, strlen(label) };
	CK_OBJECT_HANDLE found[64];
	CK_ULONG n = 0, all = 0;

	assert_ok(f->C_FindObjectsInit(h, &t, 1));
	do {
		assert_ok(f->C_FindObjects(h, found, 64, &n));
		if (all == 0 && n != 0 && first != NULL)
			*first = found[0];
		all += n;
	} while (n != 0);
	assert_ok(f->C_FindObjectsFinal(h));
	return all;
}

#endif
