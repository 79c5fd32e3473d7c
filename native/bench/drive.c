#include "drive.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define LANES_MAX 64

struct lane {
	void *body;
	uint64_t n;
	enum outcome outcome;
	char why[200];
};

uint8_t message[MESSAGE_MAX], known_key[64];

static _Thread_local char why[200];
static const struct work *work;
static struct lane lanes[LANES_MAX];
static unsigned lane_count;
static pthread_barrier_t start;

enum outcome
say(enum outcome outcome, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)vsnprintf(why, sizeof why, format, args);
	va_end(args);
	return outcome;
}

const char *
reason(void)
{
	return why;
}

void
tell(FILE *answer, const char *name, const uint8_t *bytes, size_t len)
{
	fprintf(answer, " %s=", name);
	for (size_t i = 0; i < len; i++)
		fprintf(answer, "%02x", bytes[i]);
}

static uint64_t
now(clockid_t clock)
{
	struct timespec t = { 0 };

	(void)clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t
cpu_spent(void)
{
	struct rusage u = { 0 };

	if (!work->children)
		return now(CLOCK_PROCESS_CPUTIME_ID);
	(void)getrusage(RUSAGE_CHILDREN, &u);
	return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000u +
	    (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000u;
}

static void
lane_run(struct lane *lane)
{
	enum outcome (*once)(void *) = work->once;
	void *body = lane->body;

	lane->outcome = DONE;
	for (uint64_t i = 0; i < lane->n && lane->outcome == DONE; i++)
		lane->outcome = once(body);
	memcpy(lane->why, why, sizeof why);
}

static void *
lane_main(void *arg)
{
	(void)pthread_barrier_wait(&start);
	lane_run(arg);
	return NULL;
}

/* A lane that runs beside others starts when all are there. */
static bool
lanes_run(uint64_t *cpu, uint64_t *wall)
{
	pthread_t threads[LANES_MAX];
	uint64_t cpu_then, wall_then;

	if (lane_count > 1) {
		(void)pthread_barrier_init(&start, NULL, lane_count + 1);
		for (unsigned i = 0; i < lane_count; i++)
			if (pthread_create(&threads[i], NULL, lane_main, &lanes[i]) != 0)
				return false;
	}
	cpu_then = cpu_spent();
	wall_then = now(CLOCK_MONOTONIC);
	if (lane_count == 1)
		lane_run(&lanes[0]);
	else
		(void)pthread_barrier_wait(&start);
	for (unsigned i = 0; lane_count > 1 && i < lane_count; i++)
		(void)pthread_join(threads[i], NULL);
	*wall = now(CLOCK_MONOTONIC) - wall_then;
	*cpu = cpu_spent() - cpu_then;
	if (lane_count > 1)
		(void)pthread_barrier_destroy(&start);
	return true;
}

static void
put_outcome(enum outcome outcome, const char *text)
{
	static const char *const words[] = { "ok", "unavailable", "wrong", "broken" };

	printf("%s %s\n", words[outcome], outcome == DONE ? "" : text);
}

static void
close_lanes(void)
{
	/* The first last: others may use its key. */
	while (lane_count > 0)
		work->close(lanes[--lane_count].body);
	work = NULL;
}

static void
order_prepare(const struct work *works, const char *line)
{
	char name[32] = "", keys[8] = "";
	struct order order = { 0 };
	unsigned count = 0;
	enum outcome outcome = DONE;

	if (sscanf(line, "prepare %31s %31s %zu %u %7s", name, order.kind, &order.size, &count, keys) != 5 ||
	    count == 0 || count > LANES_MAX || order.size > MESSAGE_MAX || work != NULL) {
		put_outcome(BROKEN, "not an order");
		return;
	}
	order.own_key = strcmp(keys, "own") == 0;
	for (work = works; work->name != NULL && strcmp(work->name, name) != 0; work++)
		;
	if (work->name == NULL) {
		work = NULL;
		put_outcome(UNAVAILABLE, "no such work here");
		return;
	}
	for (lane_count = 0; lane_count < count && outcome == DONE; lane_count++) {
		lanes[lane_count].body = NULL;
		outcome = work->open(&order, lane_count == 0 ? NULL : lanes[0].body, &lanes[lane_count].body);
	}
	if (outcome != DONE)
		close_lanes();
	put_outcome(outcome, why);
}

static void
order_run(uint64_t n)
{
	uint64_t cpu = 0, wall = 0;

	for (unsigned i = 0; i < lane_count; i++)
		lanes[i].n = n / lane_count;
	if (!lanes_run(&cpu, &wall)) {
		put_outcome(BROKEN, "no thread to be had");
		return;
	}
	for (unsigned i = 0; i < lane_count; i++)
		if (lanes[i].outcome != DONE) {
			put_outcome(lanes[i].outcome, lanes[i].why);
			return;
		}
	printf("ok %llu %llu\n", (unsigned long long)cpu, (unsigned long long)wall);
}

/* Every lane is asked; the judge outside gets the first one's answer. */
static void
order_check(void)
{
	char *text = NULL;
	size_t len = 0;
	enum outcome outcome = DONE;
	FILE *answer = open_memstream(&text, &len);

	for (unsigned i = 0; answer != NULL && work->check != NULL && i < lane_count && outcome == DONE; i++) {
		FILE *sink = i == 0 ? answer : fopen("/dev/null", "w");

		if (sink == NULL)
			break;
		outcome = work->check(lanes[i].body, sink);
		if (i != 0)
			(void)fclose(sink);
	}
	if (answer != NULL)
		(void)fclose(answer);
	if (outcome == DONE)
		printf("ok%s\n", text == NULL ? "" : text);
	else
		put_outcome(outcome, why);
	free(text);
}

/* Memory that was had stays here. Else each large operation of a module that
 * allocates pays for pages that were just given back to the kernel (SoftHSM's
 * 1 MiB: 2.8 ms for 0.8), which is this program's heap and not the module. */
static void
heap_keep(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 512 << 20);
}

int
drive(const struct work *works)
{
	char line[256];

	heap_keep();
	/* Ctrl-C on a terminal is for who gives the orders; stdin ends with him. */
	(void)signal(SIGINT, SIG_IGN);

	for (size_t i = 0; i < sizeof message; i++)
		message[i] = (uint8_t)(i * 7 % 251);
	for (size_t i = 0; i < sizeof known_key; i++)
		known_key[i] = (uint8_t)i;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof line, stdin) != NULL) {
		unsigned long long n = 0;

		if (strncmp(line, "prepare ", 8) == 0)
			order_prepare(works, line);
		else if (work == NULL)
			put_outcome(BROKEN, "nothing is prepared");
		else if (sscanf(line, "run %llu", &n) == 1)
			order_run(n);
		else if (strncmp(line, "check", 5) == 0)
			order_check();
		else if (strncmp(line, "close", 5) == 0) {
			close_lanes();
			put_outcome(DONE, "");
		} else
			put_outcome(BROKEN, "not an order");
		(void)fflush(stdout);
	}
	if (work != NULL)
		close_lanes();
	return 0;
}
