#include "vault.h"

#include <sys/wait.h>

static bool
all_zero(const uint8_t *at, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (at[i] != 0)
			return false;
	}
	return true;
}

static void
rooms_are_pages_zero_and_apart(void **state)
{
	static const size_t sizes[] = { 0, 1, 4096, 4097, 20000, 65536, 65537, 300000, 5000000 };
	uint8_t *rooms[sizeof sizes / sizeof *sizes];

	(void)state;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		rooms[i] = hsm_payload_alloc(sizes[i]);
		assert_non_null(rooms[i]);
		assert_int_equal((uintptr_t)rooms[i] % 4096, 0);
		assert_true(all_zero(rooms[i], sizes[i]));
		memset(rooms[i], (int)i + 1, sizes[i]);
	}
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		for (size_t k = 0; k < sizes[i]; k += 511)
			assert_int_equal(rooms[i][k], i + 1);
		hsm_payload_free(rooms[i]);
	}
	hsm_payload_free(NULL);
	assert_null(hsm_payload_alloc(SIZE_MAX));
}

static void
a_freed_room_is_wiped_and_used_again(void **state)
{
	uint8_t *keep = hsm_payload_alloc(100), *room = hsm_payload_alloc(100), *again;

	(void)state;
	memset(room, 0x5a, 4096);
	hsm_payload_free(room);
	assert_true(all_zero(room, 4096));      /* its chunk lives on: `keep` is in it */
	again = hsm_payload_alloc(100);
	assert_ptr_equal(again, room);
	memset(again, 0x5a, 4096);
	hsm_payload_wipe(again, 100);
	assert_true(all_zero(again, 100));
	hsm_payload_free(again);
	hsm_payload_free(keep);
}

static void
thousands_come_and_go(void **state)
{
	static uint8_t *rooms[2000];

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < 2000; i++) {
			rooms[i] = hsm_payload_alloc(i % 7 * 4096 + 1);
			assert_non_null(rooms[i]);
			assert_int_equal(rooms[i][i % 4096 / 8], 0);
			memcpy(rooms[i], &i, sizeof i);
		}
		for (size_t i = 0; i < 2000; i++) {
			const size_t at_i = i * 1237 % 2000;

			assert_memory_equal(rooms[at_i], &at_i, sizeof at_i);
			hsm_payload_free(rooms[at_i]);
		}
	}
}

static void
a_child_sees_nothing(void **state)
{
	uint8_t *room = hsm_payload_alloc(64), *fresh;
	int status;
	pid_t child;

	(void)state;
	memset(room, 0x5a, 64);
	if ((child = fork()) == 0) {
		hsm_payload_free(room);                 /* the parent's: nothing happens */
		fresh = hsm_payload_alloc(64);
		_exit(all_zero(room, 64) && fresh != NULL && fresh != room ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(room[63], 0x5a);
	hsm_payload_free(room);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rooms_are_pages_zero_and_apart),
		cmocka_unit_test(a_freed_room_is_wiped_and_used_again),
		cmocka_unit_test(thousands_come_and_go),
		cmocka_unit_test(a_child_sees_nothing),
	};

	return cmocka_run_group_tests_name("payload", tests, NULL, NULL);
}
