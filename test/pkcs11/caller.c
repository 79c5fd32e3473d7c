/* caller.c - calls functions of a Cryptoki module as it is told on standard
 * input: a process of its own that a test drives, with no opinion about what a
 * function takes. caller.ts is the other end.
 *
 * A request is u64 words: the function's place in CK_FUNCTION_LIST_3_2, how
 * many arguments, the image's length, how many pointers; then per pointer where
 * in the image it stands and where it points; then the image, whose first words
 * are the arguments. The answer: the return value, then the image as it is now. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 10
#define IMAGE_MAX (1u << 24)

struct interface { char *name; void **list; unsigned long flags; };
typedef unsigned long (*get_interface)(const char *name, const unsigned char *version, struct interface **found, unsigned long flags);
typedef unsigned long (*function)(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static int
take(void *to, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = read(0, (char *)to + got, len - got);

		if (n <= 0)
			return 0;
		got += (size_t)n;
	}
	return 1;
}

static int
give(const void *from, size_t len)
{
	for (size_t put = 0; put < len;) {
		ssize_t n = write(1, (const char *)from + put, len - put);

		if (n <= 0)
			return 0;
		put += (size_t)n;
	}
	return 1;
}

static int
one_call(void **list)
{
	uint64_t head[4], args[ARGS_MAX] = { 0 }, rv, *pointers;
	uint8_t *image;
	function f;
	int ok = 0;

	if (!take(head, sizeof head) || head[1] > ARGS_MAX || head[2] > IMAGE_MAX || head[3] > head[2] / 8 || head[1] * 8 > head[2])
		return 0;
	pointers = malloc(head[3] * 16 + 1);
	image = malloc(head[2] + 1);
	if (pointers == NULL || image == NULL || !take(pointers, head[3] * 16) || !take(image, head[2]))
		goto out;
	for (uint64_t i = 0; i < head[3]; i++) {
		uint64_t address = (uint64_t)(uintptr_t)image + pointers[2 * i + 1];

		if (pointers[2 * i] > head[2] - 8 || pointers[2 * i + 1] > head[2])
			goto out;
		memcpy(image + pointers[2 * i], &address, 8);
	}
	memcpy(args, image, head[1] * 8);
	*(void **)&f = list[head[0]];
	rv = f(args[0], args[1], args[2], args[3], args[4], args[5], args[6], args[7], args[8], args[9]);
	ok = give(&rv, 8) && give(image, head[2]);
out:
	free(pointers);
	free(image);
	return ok;
}

int
main(int argc, char **argv)
{
	static const unsigned char newest[2] = { 3, 2 };
	struct interface *found = NULL;
	get_interface get;
	void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;

	if (module == NULL) {
		(void)fprintf(stderr, "caller: %s\n", argc == 2 ? dlerror() : "usage: caller MODULE");
		return 2;
	}
	*(void **)&get = dlsym(module, "C_GetInterface");
	if (get == NULL || get("PKCS 11", newest, &found, 0) != 0)
		return 2;
	while (one_call(found->list))
		;
	return 0;
}
