/* lab.c - what is switched on. See lab.h; a release has none of it. */
#include "lab.h"

#ifdef STRONGROOM_LAB
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 256u

static _Atomic uint32_t switches[LAB_SWITCHES_N];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char seed[TEXT_MAX], failing[TEXT_MAX];
static _Atomic unsigned failing_turn;           /* 0: none */
static FILE *trace;
static uint64_t traced;

static const char *const names[] = {
#define LAB_NAME(id, name) [id] = name,
	LAB_SWITCHES(LAB_NAME)
};

static bool
number_read(const char *text, uint32_t *value)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || n > UINT32_MAX)
		return false;
	*value = (uint32_t)n;
	return true;
}

static hsm_status
fail_set(const char *value)
{
	const char *at = strrchr(value, '@');
	uint32_t turn = 1;

	if (at != NULL && (!number_read(at + 1, &turn) || turn == 0))
		return HSM_E_ARGS;
	snprintf(failing, sizeof failing, "%.*s", at == NULL ? (int)strlen(value) : (int)(at - value), value);
	atomic_store(&failing_turn, turn);
	return HSM_OK;
}

static hsm_status
trace_set(const char *path)
{
	if (trace != NULL)
		fclose(trace);
	trace = NULL;
	traced = 0;
	if (path != NULL && (trace = fopen(path, "ae")) == NULL)
		return HSM_E_IO;
	return HSM_OK;
}

/* Under the lock. value NULL: off, "" where none was given. */
static hsm_status
set(const char *name, const char *value)
{
	uint32_t number = 1;

	if (strcmp(name, "seed") == 0) {
		snprintf(seed, sizeof seed, "%s", value == NULL ? "" : value);
		return HSM_OK;
	}
	if (strcmp(name, "fail") == 0) {
		atomic_store(&failing_turn, 0u);
		return value == NULL ? HSM_OK : fail_set(value);
	}
	if (strcmp(name, "trace") == 0)
		return trace_set(value);
	for (unsigned i = 0; i < LAB_SWITCHES_N; i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		if (value == NULL)
			number = 0;
		else if (*value != '\0' && !number_read(value, &number))
			return HSM_E_ARGS;
		atomic_store(&switches[i], number);
		return HSM_OK;
	}
	return HSM_E_ARGS;
}

hsm_status
lab_set(const char *setting)
{
	char room[TEXT_MAX];
	char *value;
	hsm_status st;

	if (setting == NULL || strlen(setting) >= sizeof room)
		return HSM_E_ARGS;
	strcpy(room, setting);
	if ((value = strchr(room, '=')) != NULL)
		*value++ = '\0';
	pthread_mutex_lock(&lock);
	st = set(room, value == NULL ? "" : strcmp(value, "off") == 0 ? NULL : value);
	pthread_mutex_unlock(&lock);
	lab_trace("\"event\":\"lab\",\"setting\":\"%s\",\"status\":\"%s\"", room, hsm_status_name(st));
	return st;
}

hsm_status
lab_power_on(void)
{
	const char *settings = getenv("STRONGROOM_LAB");
	char *all, *rest, *one;
	hsm_status st = HSM_OK;

	if (settings == NULL)
		return HSM_OK;
	if ((all = strdup(settings)) == NULL)
		return HSM_E_MEMORY;
	for (one = strtok_r(all, ",", &rest); one != NULL && st == HSM_OK; one = strtok_r(NULL, ",", &rest))
		st = lab_set(one);
	free(all);
	return st;
}

uint32_t
lab(enum lab_switch which)
{
	return atomic_load_explicit(&switches[which], memory_order_relaxed);
}

bool
lab_count_down(enum lab_switch which)
{
	uint32_t left = lab(which);

	while (left > 0) {
		if (atomic_compare_exchange_weak(&switches[which], &left, left - 1))
			return left == 1;
	}
	return false;
}

bool
lab_fails(const char *test)
{
	unsigned left;
	bool mine;

	pthread_mutex_lock(&lock);
	mine = strcmp(test, failing) == 0;
	pthread_mutex_unlock(&lock);
	left = atomic_load(&failing_turn);
	while (mine && left > 0) {
		if (atomic_compare_exchange_weak(&failing_turn, &left, left - 1))
			return left == 1;
	}
	return false;
}

bool
lab_seed(const char **text)
{
	*text = seed;
	return seed[0] != '\0';
}

/* Numbered, not timed: two runs with one seed are the same, line by line. */
void
lab_trace(const char *format, ...)
{
	va_list args;

	pthread_mutex_lock(&lock);
	if (trace != NULL) {
		fprintf(trace, "{\"n\":%llu,", (unsigned long long)++traced);
		va_start(args, format);
		vfprintf(trace, format, args);
		va_end(args);
		fputs("}\n", trace);
		fflush(trace);
	}
	pthread_mutex_unlock(&lock);
}
#else
typedef int lab_none;           /* a translation unit is never empty */
#endif
