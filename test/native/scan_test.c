/* The memory scan finds what lies in ordinary memory, in every form it looks
 * for, and nothing of what lies in the arena. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"

#define LEN 48

/* Written byte by byte where it belongs: no second copy comes of it. */
static void
needle(volatile uint8_t *out, uint32_t seed)
{
	for (int i = 0; i < LEN; i++) {
		seed = seed * 1664525u + 1013904223u;
		out[i] = (uint8_t)(seed >> 24);
	}
}

enum { IN_ARENA = 1, IN_HEAP, PIECE, BACKWARDS, LOWER, UPPER, PHASE_0, PHASE_1, PHASE_2, NOWHERE };

static void
put_hex(char *out, uint32_t seed, const char *digits)
{
	uint8_t n[LEN];

	needle(n, seed);
	for (int i = 0; i < LEN; i++) {
		out[2 * i] = digits[n[i] >> 4];
		out[2 * i + 1] = digits[n[i] & 15];
	}
	explicit_bzero(n, sizeof(n));
}

static void
put_base64(char *out, uint32_t seed, size_t phase)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t n[LEN + 6] = { 1, 2, 3 };

	needle(n + phase, seed);
	for (size_t i = 0; i + 3 <= phase + LEN; i += 3) {
		uint32_t group = (uint32_t)n[i] << 16 | (uint32_t)n[i + 1] << 8 | n[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6)
			*out++ = digits[group >> shift & 63];
	}
	explicit_bzero(n, sizeof(n));
}

/* What the scanned process keeps. */
static void
furnish(uint8_t *room)
{
	uint8_t n[LEN];

	needle(arena_alloc(LEN), IN_ARENA);
	needle(room + 1000, IN_HEAP);
	needle(n, PIECE);
	memcpy(room + 2003, n + 16, 16);
	needle(n, BACKWARDS);
	for (int i = 0; i < LEN; i++)
		room[3000 + i] = n[LEN - 1 - i];
	explicit_bzero(n, sizeof(n));
	put_hex((char *)room + 4000, LOWER, "0123456789abcdef");
	put_hex((char *)room + 5000, UPPER, "0123456789ABCDEF");
	put_base64((char *)room + 6000, PHASE_0, 0);
	put_base64((char *)room + 7000, PHASE_1, 1);
	put_base64((char *)room + 8000, PHASE_2, 2);
}

static pid_t scanned;

static int
start(void **state)
{
	int ready[2];
	char byte;

	(void)state;
	if (pipe(ready) != 0 || (scanned = fork()) < 0)
		return -1;
	if (scanned == 0) {
		uint8_t *room = calloc(1, 16384);

		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
		alarm(120);
		if (room == NULL || arena_open((size_t)1 << 20) != HSM_OK)
			_exit(1);
		furnish(room);
		if (write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	return read(ready[0], &byte, 1) == 1 ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	kill(scanned, SIGKILL);
	waitpid(scanned, NULL, 0);
	return 0;
}

#if !defined(__SANITIZE_ADDRESS__)      /* terabytes of shadow would be searched */
/* Hits of the needle in each kind, and the exit code. */
static int
scan(uint32_t seed, char *said, size_t room)
{
	char name[] = "/tmp/strongroom-needles-XXXXXX", command[512], hex[2 * LEN + 1] = { 0 };
	int fd = mkstemp(name), how;
	FILE *out;
	size_t got;

	assert_true(fd >= 0);
	put_hex(hex, seed, "0123456789abcdef");
	assert_int_equal(dprintf(fd, "# a comment\nkey %s\n", hex), 2 * LEN + 17);
	close(fd);
	snprintf(command, sizeof(command), "'%s' %d < %s", SCAN_FILE, (int)scanned, name);
	out = popen(command, "r");
	assert_non_null(out);
	got = fread(said, 1, room - 1, out);
	said[got] = '\0';
	how = pclose(out);
	unlink(name);
	return WEXITSTATUS(how);
}

static void
finds(uint32_t seed, const char *kind)
{
	char said[4096], line[64];

	assert_int_equal(scan(seed, said, sizeof(said)), 1);
	snprintf(line, sizeof(line), "hit key %s [heap]", kind);
	if (strstr(said, line) == NULL) {
		snprintf(line, sizeof(line), "hit key %s ", kind);
		assert_non_null(strstr(said, line));
	}
}

static void
it_finds_each_form_in_ordinary_memory(void **state)
{
	(void)state;
	finds(IN_HEAP, "raw");
	finds(PIECE, "raw");
	finds(BACKWARDS, "reversed");
	finds(LOWER, "hex");
	finds(UPPER, "hex");
	finds(PHASE_0, "base64");
	finds(PHASE_1, "base64");
	finds(PHASE_2, "base64");
}

static void
it_finds_nothing_that_is_not_there(void **state)
{
	char said[4096];

	(void)state;
	assert_int_equal(scan(NOWHERE, said, sizeof(said)), 0);
	assert_non_null(strstr(said, ": 0 hits"));
}

/* Memory of the other kinds is not swapped or dumped, but it can be read. */
static void
memfd_secret_is_not_to_be_read(void **state)
{
	struct arena_info info;
	char said[4096];

	(void)state;
	assert_int_equal(arena_open((size_t)1 << 20), HSM_OK);
	arena_describe(&info);
	assert_int_equal(scan(IN_ARENA, said, sizeof(said)), info.kind == ARENA_SECRET ? 0 : 1);
}
#endif

static void
it_refuses_what_it_cannot_search(void **state)
{
	(void)state;
	assert_int_equal(WEXITSTATUS(system("'" SCAN_FILE "' 1 < /dev/null 2> /dev/null")), 2);
	assert_int_equal(WEXITSTATUS(system("echo 0011 | '" SCAN_FILE "' 1 2> /dev/null")), 2);
	assert_int_equal(WEXITSTATUS(system("'" SCAN_FILE "' 2> /dev/null")), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#if !defined(__SANITIZE_ADDRESS__)
		cmocka_unit_test(it_finds_each_form_in_ordinary_memory),
		cmocka_unit_test(it_finds_nothing_that_is_not_there),
		cmocka_unit_test(memfd_secret_is_not_to_be_read),
#endif
		cmocka_unit_test(it_refuses_what_it_cannot_search),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
