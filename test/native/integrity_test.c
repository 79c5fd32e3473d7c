/* A module whose bytes were changed does not pass: not one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "crypto/integrity.h"

static uint8_t *probe;
static size_t probe_len;

static int
start(void **state)
{
	struct stat st;
	int fd = open(PROBE_FILE, O_RDONLY);

	(void)state;
	if (fd < 0 || fstat(fd, &st) != 0)
		return -1;
	probe_len = (size_t)st.st_size;
	probe = malloc(probe_len);
	if (probe == NULL || read(fd, probe, probe_len) != (ssize_t)probe_len)
		return -1;
	close(fd);
	return arena_open((size_t)1 << 20) == HSM_OK ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	free(probe);
	return 0;
}

/* What a copy of the module, as `probe` has it now, says of itself, in a
 * process of its own; -1 when it did not live to say it. */
static int
ask(int broken)
{
	char name[] = "/tmp/strongroom-probe-XXXXXX";
	int how = 0, fd = mkstemp(name);
	pid_t pid;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, probe, probe_len), (ssize_t)probe_len);
	close(fd);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		int (*check)(int);
		void *module;

		setrlimit(RLIMIT_CORE, &none);
		close(STDERR_FILENO);
		alarm(60);
		module = dlopen(name, RTLD_NOW);
		if (module == NULL)
			_exit(100);
		*(void **)&check = dlsym(module, "probe_check");
		if (check == NULL)
			_exit(101);
		_exit(check(broken));
	}
	assert_int_equal(waitpid(pid, &how, 0), pid);
	unlink(name);
	return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

static void
the_module_as_built_passes(void **state)
{
	(void)state;
	assert_int_equal(ask(0), HSM_OK);
}

static void
the_test_can_be_made_to_fail(void **state)
{
	(void)state;
	assert_int_equal(ask(1), HSM_E_INTEGRITY);
}

static void
flip(size_t at)
{
	probe[at] ^= (uint8_t)(1u << (at % 8));
}

/* Spread over each read-only segment. What crashes or does not load has not
 * passed either. */
static void
each_flipped_byte_is_found(void **state)
{
	const Elf64_Ehdr *e = (const Elf64_Ehdr *)(const void *)probe;
	const Elf64_Phdr *h = (const Elf64_Phdr *)(const void *)(probe + e->e_phoff);
	unsigned segments = 0, named = 0, steps = getenv("STRONGROOM_SLOW") == NULL ? 40 : 3;

	(void)state;
	for (unsigned i = 0; i < e->e_phnum; i++) {
		if (h[i].p_type != PT_LOAD || (h[i].p_flags & PF_W) != 0)
			continue;
		segments++;
		for (unsigned n = 0; n <= steps; n++) {
			size_t at = h[i].p_offset + (h[i].p_filesz - 1) / steps * n;
			int answer;

			if (at >= h[i].p_offset + h[i].p_filesz)
				continue;
			flip(at);
			answer = ask(0);
			flip(at);
			assert_int_not_equal(answer, HSM_OK);
			named += answer == HSM_E_INTEGRITY;
		}
	}
	assert_true(segments >= 2);
	assert_true(named >= steps);
	assert_int_equal(ask(0), HSM_OK);
}

static uint8_t *
the_stamp(void)
{
	static const char magic[] = INTEGRITY_MAGIC_A INTEGRITY_MAGIC_B;
	uint8_t *at = memmem(probe, probe_len, magic, sizeof(magic) - 1);

	assert_non_null(at);
	return at;
}

static void
each_flipped_byte_of_the_stamp_is_found(void **state)
{
	size_t at = (size_t)(the_stamp() - probe);
	size_t step = getenv("STRONGROOM_SLOW") == NULL ? 1 : 16;

	(void)state;
	for (size_t i = 0; i < sizeof(struct integrity_stamp); i += step) {
		flip(at + i);
		assert_int_equal(ask(0), HSM_E_INTEGRITY);
		flip(at + i);
	}
}

/* A module that lost its stamp is no test program. */
static void
a_module_without_a_stamp_is_refused(void **state)
{
	uint8_t mac[INTEGRITY_MAC], *at = the_stamp() + 16;

	(void)state;
	memcpy(mac, at, sizeof(mac));
	memset(at, 0, sizeof(mac));
	assert_int_equal(ask(0), HSM_E_INTEGRITY);
	memcpy(at, mac, sizeof(mac));
	assert_int_equal(ask(0), HSM_OK);
}

static void
a_program_of_its_own_is_not_stamped(void **state)
{
	(void)state;
	assert_int_equal(integrity_check(false), HSM_E_UNSUPPORTED);
	assert_int_equal(integrity_check(true), HSM_E_INTEGRITY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_module_as_built_passes),
		cmocka_unit_test(the_test_can_be_made_to_fail),
		cmocka_unit_test(each_flipped_byte_is_found),
		cmocka_unit_test(each_flipped_byte_of_the_stamp_is_found),
		cmocka_unit_test(a_module_without_a_stamp_is_refused),
		cmocka_unit_test(a_program_of_its_own_is_not_stamped),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
