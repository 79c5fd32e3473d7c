/* The protected authentication path: PINs that the module reads from a file, so
 * that the program never has them. */
#include "room.h"

static void
file_write(const char *name, const char *text)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", home, name);
	assert_non_null(file = fopen(path, "w"));
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void
configure(const char *variable, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", home, name);
	assert_int_equal(setenv(variable, path, 1), 0);
}

static CK_FLAGS
token_flags(void)
{
	CK_TOKEN_INFO info;

	assert_ok(f->C_GetTokenInfo(0, &info));
	return info.flags;
}

static void
without_a_file_a_pin_must_be_given(void **state)
{
	CK_SESSION_HANDLE h;

	(void)state;
	assert_ok(f->C_Initialize(NULL));
	assert_rv(f->C_InitToken(0, NULL, 0, LABEL), CKR_ARGUMENTS_BAD);
	token_begin();
	assert_int_equal(token_flags() & CKF_PROTECTED_AUTHENTICATION_PATH, 0);
	h = session_begin(CKF_RW_SESSION);
	assert_rv(f->C_Login(h, CKU_USER, NULL, 0), CKR_ARGUMENTS_BAD);
	assert_rv(f->C_Login(h, CKU_SO, NULL, 0), CKR_ARGUMENTS_BAD);
	assert_ok(f->C_Finalize(NULL));
}

static void
with_files_the_module_reads_them(void **state)
{
	CK_SESSION_HANDLE h;
	CK_SESSION_INFO info;

	(void)state;
	file_write("so", "87654321\n");
	file_write("user", "1234\r\nnot this\n");
	configure("STRONGROOM_SO_PIN_FILE", "so");
	configure("STRONGROOM_PIN_FILE", "user");
	assert_ok(f->C_Initialize(NULL));
	assert_int_not_equal(token_flags() & CKF_PROTECTED_AUTHENTICATION_PATH, 0);
	/* Made anew without a PIN passing through this program. */
	assert_ok(f->C_InitToken(0, NULL, 0, LABEL));
	h = session_begin(CKF_RW_SESSION);
	assert_ok(f->C_Login(h, CKU_SO, NULL, 0));
	assert_ok(f->C_InitPIN(h, NULL, 0));
	assert_ok(f->C_Logout(h));
	assert_ok(f->C_Login(h, CKU_USER, NULL, 0));
	assert_ok(f->C_GetSessionInfo(h, &info));
	assert_int_equal(info.state, CKS_RW_USER_FUNCTIONS);
	assert_rv(f->C_Login(h, CKU_CONTEXT_SPECIFIC, NULL, 0), CKR_OPERATION_NOT_INITIALIZED);
	assert_ok(f->C_Logout(h));
	/* A PIN that is given is the one that counts. */
	assert_rv(f->C_Login(h, CKU_USER, (CK_UTF8CHAR *)"9999", 4), CKR_PIN_INCORRECT);
	assert_ok(f->C_Login(h, CKU_USER, USER_PIN, 4));
	assert_ok(f->C_Finalize(NULL));
}

static void
a_file_that_says_nothing_is_nobody_typing(void **state)
{
	CK_TOKEN_INFO info;
	CK_SESSION_HANDLE h;

	(void)state;
	assert_ok(f->C_Initialize(NULL));
	h = session_begin(CKF_RW_SESSION);
	configure("STRONGROOM_PIN_FILE", "none");
	assert_rv(f->C_Login(h, CKU_USER, NULL, 0), CKR_FUNCTION_CANCELED);
	file_write("none", "");
	assert_rv(f->C_Login(h, CKU_USER, NULL, 0), CKR_FUNCTION_CANCELED);
	file_write("none", "wrong");
	assert_rv(f->C_Login(h, CKU_USER, NULL, 0), CKR_PIN_INCORRECT);
	/* Only the last was a try. */
	assert_ok(f->C_GetTokenInfo(0, &info));
	assert_int_not_equal(info.flags & CKF_USER_PIN_COUNT_LOW, 0);
	assert_int_equal(info.flags & CKF_USER_PIN_LOCKED, 0);
	assert_ok(f->C_Finalize(NULL));
}

static bool
is_there(const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", home, name);
	return access(path, F_OK) == 0;
}

/* One who has no STRONGROOM_HOME: his own folder where it is, else the one the
 * system names, if only its owner could have named it. */
static void
a_daemon_uses_the_home_that_the_system_names(void **state)
{
	char line[160], path[160];
	const char *before = getenv("HOME");
	char *kept = before == NULL ? NULL : strdup(before);

	(void)state;
	snprintf(line, sizeof line, "# a comment\n  home =  %s/system \n", home);
	file_write("system.conf", line);
	configure("STRONGROOM_SYSTEM_CONF", "system.conf");
	configure("HOME", "nobody");
	snprintf(path, sizeof path, "%s/system.conf", home);
	assert_int_equal(unsetenv("STRONGROOM_HOME"), 0);
	assert_int_equal(mkdir(getenv("HOME"), 0700), 0);

	assert_int_equal(chmod(path, 0666), 0);
	assert_ok(f->C_Initialize(NULL));
	assert_ok(f->C_InitToken(0, SO_PIN, 8, LABEL));
	assert_ok(f->C_Finalize(NULL));
	assert_true(is_there("nobody/.strongroom/tokens/0.token"));
	assert_false(is_there("system"));

	assert_int_equal(chmod(path, 0644), 0);
	configure("HOME", "none at all");
	assert_ok(f->C_Initialize(NULL));
	assert_ok(f->C_InitToken(0, SO_PIN, 8, LABEL));
	assert_ok(f->C_Finalize(NULL));
	assert_true(is_there("system/tokens/0.token"));

	assert_int_equal(setenv("STRONGROOM_HOME", home, 1), 0);
	assert_int_equal(kept == NULL ? unsetenv("HOME") : setenv("HOME", kept, 1), 0);
	free(kept);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_file_a_pin_must_be_given),
		cmocka_unit_test(with_files_the_module_reads_them),
		cmocka_unit_test(a_file_that_says_nothing_is_nobody_typing),
		cmocka_unit_test(a_daemon_uses_the_home_that_the_system_names),
	};

	return cmocka_run_group_tests(tests, home_begin, home_end);
}
