/* token.h - the module under measure: loaded, initialised, logged in. */
#ifndef STRONGROOM_BENCH_TOKEN_H
#define STRONGROOM_BENCH_TOKEN_H

#include "drive.h"

#include <pkcs11.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct options {
	const char *module;
	const char *args;       /* C_Initialize's reserved string (NSS, Kryoptic) */
	const char *pin_file;
	const char *token;      /* label of the token; NULL: the only one that takes a PIN */
	bool init;              /* make the token first */
};

extern CK_FUNCTION_LIST *p11;
/* NULL where the module has no 3.2 interface. */
extern CK_FUNCTION_LIST_3_2 *p11_3;
extern CK_SLOT_ID slot;
extern CK_BBOOL yes, no;
extern CK_UTF8CHAR pin[256];
extern CK_ULONG pin_len;

/* Load, initialise, find or make the token. With `login` the user is logged in
 * by a session that stays open. */
enum outcome token_open(const struct options *options, bool login);
void token_close(void);

enum outcome session_open(CK_SESSION_HANDLE *session);

/* DONE, or what C_`call` answered. What a module says that it does not have is
 * UNAVAILABLE, all else is BROKEN. */
enum outcome answered(CK_RV rv, const char *call);

/* A body of PKCS#11 work: whatever a lane of any family needs. */
struct body {
	struct order order;
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key, pub, other;
	bool shared;            /* the keys are the first lane's */
	bool known;             /* the key is known_key, so that others can check */
	CK_MECHANISM mechanism;
	CK_BYTE iv[16];
	CK_GCM_PARAMS gcm;
	CK_BYTE point[256];     /* the peer's, of an agreement */
	CK_ULONG point_len;
	const CK_BYTE *in;
	CK_ULONG in_len;
	CK_BYTE *out, *back;
	CK_ULONG out_cap, out_len;
	CK_OBJECT_HANDLE *made;  /* token objects to take away again */
	size_t made_len, made_cap;
	unsigned long next;
};

enum outcome body_open(const struct order *order, void *first, struct body **body);
void body_close(void *body);

/* key.c */
enum outcome secret_make(struct body *b, CK_KEY_TYPE type, const CK_ATTRIBUTE *usage, CK_ULONG usage_len);
/* A session key pair of the order's kind. */
enum outcome pair_make(CK_SESSION_HANDLE session, const struct order *order, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *key);
enum outcome attribute_get(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, CK_BYTE *out, CK_ULONG *len);
enum outcome secret_token(CK_SESSION_HANDLE session, unsigned long number, CK_OBJECT_HANDLE *key);

enum outcome object_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS class, unsigned long number, CK_OBJECT_HANDLE *object);

/* Rows of each family; each ends without a name. */
extern const struct work cipher_works[], sign_works[], key_works[], object_works[], process_works[];

/* process.c: what a fresh process does, and what it is asked again with. */
void process_set(int argc, char **argv);
int process_once(const char *what);

#endif
