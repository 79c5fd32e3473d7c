/* check.c - does a module built for another machine work? Loaded as any program
 * does: self-tests, a token with both PINs, a pair, a signature. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include <pkcs11.h>

#define MUST(call) do { \
	CK_RV rv_ = (call); \
	if (rv_ != CKR_OK) { \
		fprintf(stderr, "%s: 0x%lx\n", #call, (unsigned long)rv_); \
		return 1; \
	} \
} while (0)

#define SO_PIN ((CK_UTF8CHAR *)"87654321")
#define USER_PIN ((CK_UTF8CHAR *)"1234")

static int
use(CK_FUNCTION_LIST *f)
{
	CK_BYTE p256[] = { 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07 }, sig[64], yes = CK_TRUE;
	CK_ATTRIBUTE pub[] = { { CKA_EC_PARAMS, p256, sizeof p256 }, { CKA_TOKEN, &yes, 1 } }, priv[] = { { CKA_TOKEN, &yes, 1 } };
	CK_MECHANISM make = { CKM_EC_KEY_PAIR_GEN, NULL, 0 }, ecdsa = { CKM_ECDSA_SHA256, NULL, 0 };
	CK_ULONG len = sizeof sig;
	CK_OBJECT_HANDLE open, closed;
	CK_SESSION_HANDLE h;

	MUST(f->C_Initialize(NULL));
	MUST(f->C_InitToken(0, SO_PIN, 8, (CK_UTF8CHAR *)"cross                           "));
	MUST(f->C_OpenSession(0, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &h));
	MUST(f->C_Login(h, CKU_SO, SO_PIN, 8));
	MUST(f->C_InitPIN(h, USER_PIN, 4));
	MUST(f->C_Logout(h));
	MUST(f->C_Login(h, CKU_USER, USER_PIN, 4));
	MUST(f->C_GenerateKeyPair(h, &make, pub, 2, priv, 1, &open, &closed));
	MUST(f->C_SignInit(h, &ecdsa, closed));
	MUST(f->C_Sign(h, (CK_BYTE *)"word", 4, sig, &len));
	MUST(f->C_VerifyInit(h, &ecdsa, open));
	MUST(f->C_Verify(h, (CK_BYTE *)"word", 4, sig, len));
	MUST(f->C_Finalize(NULL));
	puts("the module works");
	return 0;
}

int
main(int argc, char **argv)
{
	CK_RV (*get)(CK_FUNCTION_LIST **);
	CK_FUNCTION_LIST *f;
	void *image = argc == 2 ? dlopen(argv[1], RTLD_NOW) : NULL;

	if (image == NULL) {
		fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: check MODULE");
		return 2;
	}
	*(void **)&get = dlsym(image, "C_GetFunctionList");
	MUST(get(&f));
	return use(f);
}
