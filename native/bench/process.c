/* process.c - what a fresh process pays: this program started anew, once for
 * each operation. */
#include "token.h"

#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 32

extern char **environ;

static char *words[ARGS_MAX];
static int word_count;

void
process_set(int argc, char **argv)
{
	for (int i = 0; i < argc && i < ARGS_MAX - 3; i++)
		words[word_count++] = argv[i];
}

static CK_OBJECT_HANDLE
signing_key(CK_SESSION_HANDLE session, enum outcome *outcome)
{
	CK_OBJECT_HANDLE key = 0;

	*outcome = object_find(session, CKO_PRIVATE_KEY, 99999999, &key);
	return key;
}

/* The signing key that a fresh process finds. */
static enum outcome
signing_key_make(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *pub, CK_OBJECT_HANDLE *key)
{
	static CK_BYTE curve[] = { 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7 };
	CK_MECHANISM mechanism = { CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_UTF8CHAR label[] = "bench-99999999";
	CK_ATTRIBUTE p[] = { { CKA_TOKEN, &yes, 1 }, { CKA_LABEL, label, 14 }, { CKA_ID, label, 14 }, { CKA_VERIFY, &yes, 1 }, { CKA_EC_PARAMS, curve, sizeof curve } };
	CK_ATTRIBUTE s[] = { { CKA_TOKEN, &yes, 1 }, { CKA_LABEL, label, 14 }, { CKA_ID, label, 14 }, { CKA_SIGN, &yes, 1 }, { CKA_SENSITIVE, &yes, 1 } };

	return answered(p11->C_GenerateKeyPair(session, &mechanism, p, COUNT(p), s, COUNT(s), pub, key), "GenerateKeyPair");
}

/* In the fresh process, after login. */
int
process_once(const char *what)
{
	CK_SESSION_HANDLE session = 0;
	CK_OBJECT_HANDLE object = 0;
	CK_MECHANISM mechanism = { CKM_ECDSA, NULL, 0 };
	CK_BYTE signature[256];
	CK_ULONG len = sizeof signature;
	enum outcome outcome = session_open(&session);

	if (outcome == DONE && strcmp(what, "find") == 0)
		return object_find(session, CKO_SECRET_KEY, 0, &object) == DONE ? 0 : 1;
	if (outcome == DONE)
		object = signing_key(session, &outcome);
	if (outcome == DONE)
		outcome = answered(p11->C_SignInit(session, &mechanism, object), "SignInit");
	if (outcome == DONE)
		outcome = answered(p11->C_Sign(session, message, 32, signature, &len), "Sign");
	return outcome == DONE && len == 64 ? 0 : 1;
}

static enum outcome
spawn_once(const char *what)
{
	pid_t pid = 0;
	int status = 0;
	char *args[ARGS_MAX];

	memcpy(args, words, sizeof args);
	args[word_count] = (char *)(uintptr_t)"--once";
	args[word_count + 1] = (char *)(uintptr_t)what;
	args[word_count + 2] = NULL;
	if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, args, environ) != 0)
		return say(BROKEN, "no process to be had");
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return say(BROKEN, "the fresh process did not end well");
	return WEXITSTATUS(status) == 0 ? DONE : say(WRONG, "the fresh process did not do what it should");
}

static enum outcome
sign_once(void *arg)
{
	(void)arg;
	return spawn_once("sign");
}

static enum outcome
find_once(void *arg)
{
	(void)arg;
	return spawn_once("find");
}

static enum outcome
sign_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	if (outcome == DONE && !b->shared)
		outcome = signing_key_make(b->session, &b->pub, &b->key);
	return outcome == DONE ? sign_once(b) : outcome;
}

static enum outcome
find_open(const struct order *order, void *first, void **body)
{
	struct body *b;
	enum outcome outcome = body_open(order, first, &b);

	*body = b;
	return outcome == DONE ? find_once(b) : outcome;
}

const struct work process_works[] = {
	{ "first-sign", sign_open, sign_once, NULL, body_close, true },
	{ "ready", find_open, find_once, NULL, body_close, true },
	{ NULL, NULL, NULL, NULL, NULL, false },
};
