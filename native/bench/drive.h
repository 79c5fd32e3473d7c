/* drive.h - the measuring loop of both drivers: the one that loads a Cryptoki
 * module and the one that calls the crypto library beneath it.
 *
 * A driver is a process. It reads one order a line from stdin and answers one
 * line on stdout, so that whoever holds several of them lets them work in turns;
 * while one waits for its order it costs nothing.
 *
 *   prepare WORK KIND SIZE LANES one|own    ok | unavailable WHY
 *   run N                                   ok CPU_NS WALL_NS | wrong WHY | broken WHY
 *   check                                   ok [NAME=HEX ...] | wrong WHY | broken WHY
 *   close                                   ok
 *
 * The clocks run inside, round the operations alone. */
#ifndef STRONGROOM_BENCH_DRIVE_H
#define STRONGROOM_BENCH_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define MESSAGE_MAX ((size_t)1 << 20)

enum outcome {
	DONE,
	UNAVAILABLE,    /* the module cannot do this: a row that says so */
	WRONG,          /* an answer that is not right: the run has failed */
	BROKEN,         /* it stopped working: the run has failed */
};

struct order {
	char kind[32];
	size_t size;
	bool own_key;   /* each lane its own key, else all that of the first */
};

/* What a work does. A lane is one thread with all it needs; `first` is the
 * body of the first lane, NULL for that lane itself. */
struct work {
	const char *name;
	enum outcome (*open)(const struct order *order, void *first, void **body);
	enum outcome (*once)(void *body);
	/* Whether the last answer is right; `answer` takes ` name=hex` for a
	 * judge outside. NULL: `once` has checked already. */
	enum outcome (*check)(void *body, FILE *answer);
	void (*close)(void *body);
	/* The work is done by child processes: theirs is the CPU time. */
	bool children;
};

/* Why an outcome is not DONE, as printf has it. Answers `outcome`. */
enum outcome say(enum outcome outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What `say` said last on this thread. */
const char *reason(void);
void tell(FILE *answer, const char *name, const uint8_t *bytes, size_t len);

/* Serve orders until stdin ends. `works` ends in a row without a name. */
int drive(const struct work *works);

/* The message of every work: byte i is i * 7 mod 251. */
extern uint8_t message[MESSAGE_MAX];

/* Symmetric keys where a module takes them: byte i is i. */
extern uint8_t known_key[64];

#endif
