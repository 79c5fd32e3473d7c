/* module.c - measures any Cryptoki module.
 *
 *   strongroom-bench-module MODULE [--args TEXT] [--pin-file F] [--token LABEL] [--init] [--fill FIRST COUNT]
 *
 * Knows the module by its file alone: nothing of ours is linked. What the
 * module reads from its environment, the caller has set. */
#include "token.h"

#include <stdlib.h>
#include <string.h>

static enum outcome
token_fill(unsigned long first, unsigned long count)
{
	CK_SESSION_HANDLE session = 0;
	CK_OBJECT_HANDLE key = 0;
	enum outcome outcome = session_open(&session);

	for (unsigned long i = 0; i < count && outcome == DONE; i++)
		outcome = secret_token(session, first + i, &key);
	return outcome;
}

static void
word_put(const char *name, const CK_UTF8CHAR *text, size_t len)
{
	while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == 0))
		len--;
	printf(" %s=", name);
	for (size_t i = 0; i < len; i++)
		putchar(text[i] > ' ' && text[i] < 127 ? text[i] : '_');
}

static void
hello(void)
{
	CK_INFO info = { 0 };

	(void)p11->C_GetInfo(&info);
	printf("ready");
	word_put("name", info.libraryDescription, sizeof info.libraryDescription);
	word_put("maker", info.manufacturerID, sizeof info.manufacturerID);
	printf(" version=%u.%u\n", info.libraryVersion.major, info.libraryVersion.minor);
	(void)fflush(stdout);
}

/* All families in one list, for the loop to search. */
static const struct work *
works_all(void)
{
	static struct work all[64];
	const struct work *const families[] = { cipher_works, sign_works, key_works, object_works, process_works };
	size_t n = 0;

	for (size_t i = 0; i < COUNT(families); i++)
		for (const struct work *w = families[i]; w->name != NULL && n + 1 < COUNT(all); w++)
			all[n++] = *w;
	return all;
}

int
main(int argc, char **argv)
{
	struct options options = { .module = argc > 1 ? argv[1] : NULL };
	const char *once = NULL;
	unsigned long first = 0, count = 0;
	enum outcome outcome;
	int status = 0;

	for (int i = 2; i < argc; i++) {
		bool more = i + 1 < argc;

		if (strcmp(argv[i], "--args") == 0 && more)
			options.args = argv[++i];
		else if (strcmp(argv[i], "--pin-file") == 0 && more)
			options.pin_file = argv[++i];
		else if (strcmp(argv[i], "--token") == 0 && more)
			options.token = argv[++i];
		else if (strcmp(argv[i], "--init") == 0)
			options.init = true;
		else if (strcmp(argv[i], "--once") == 0 && more)
			once = argv[++i];
		else if (strcmp(argv[i], "--fill") == 0 && i + 2 < argc) {
			first = strtoul(argv[++i], NULL, 10);
			count = strtoul(argv[++i], NULL, 10);
		} else {
			options.module = NULL;
			break;
		}
	}
	if (options.module == NULL) {
		fprintf(stderr, "usage: %s MODULE [--args TEXT] [--pin-file F] [--token LABEL] [--init] [--fill FIRST COUNT]\n", argv[0]);
		return 2;
	}
	outcome = token_open(&options, true);
	if (outcome == DONE && count > 0)
		outcome = token_fill(first, count);
	if (outcome != DONE) {
		printf("broken %s\n", reason());
		return 1;
	}
	if (once != NULL)
		status = process_once(once);
	else if (count == 0 && !options.init) {
		process_set(argc, argv);
		hello();
		status = drive(works_all());
	}
	token_close();
	return status;
}
