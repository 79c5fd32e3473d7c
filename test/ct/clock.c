/* clock.c - do two kinds of secret take different time? (The way of dudect.)
 *
 * Each subject is run a hundred thousand times, by the toss of a coin with a
 * fixed secret or a random one (or one that is right and one that is wrong), and
 * Welch's t compares the two, the slowest tenth left out: interrupts. A big t
 * means that the clock tells. The bound is generous, and who passes it is asked
 * twice more: other programs run here too. The controls stand far above it. */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Their inner functions are the subjects. */
#define rows rows_block
#include "mech/aes_block.c"
#undef rows
#define rows rows_rsa
#include "mech/rsa_raw.c"
#undef rows

#include "module/hsm.h"

#define RUNS 100000u
#define BOUND 30.0
#define ROUNDS 3u

static uint8_t one[256], other[256], work[512];
static volatile size_t sink;

static uint32_t
toss(void)
{
	static uint64_t x = 88172645463325252u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 32);
}

static void
scatter(uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)toss();
}

/* ---- subjects: prepare for a class, then run ------------------------------------ */

/* Equal, or different from the first byte on. */
static void
compare_prepare(bool second)
{
	memset(one, 1, 128);
	memset(other, second ? 2 : 1, 128);
}

static void
compare_run(void)
{
	sink += bytes_equal_secret(one, other, 128);
}

static void
leaky_compare_run(void)
{
	size_t i = 0;

	while (i < 128 && ((volatile uint8_t *)one)[i] == ((volatile uint8_t *)other)[i])
		i++;
	sink += i;
}

/* One byte of padding, or sixteen. */
static void
padding_prepare(bool second)
{
	memset(one, second ? 16 : 1, 16);
}

static void
padding_run(void)
{
	sink += padding_len(one);
}

static void
leaky_padding_run(void)
{
	const volatile uint8_t *block = one;
	unsigned n = block[15], i = 0;

	while (i < n && block[15 - i] == n)
		i++;
	sink += i;
}

/* Well padded, or not at all. */
static void
pkcs1_prepare(bool second)
{
	memset(one, 7, sizeof one);
	memset(other, 9, sizeof other);
	one[0] = second ? 7 : 0;
	one[1] = 2;
	one[100] = 0;
}

static void
pkcs1_run(void)
{
	sink += message_choose(one, other, 32, sizeof one);
}

static void
leaky_pkcs1_run(void)
{
	const volatile uint8_t *em = one;
	size_t i = 2;

	if (em[0] != 0 || em[1] != 2)
		return;
	while (i < sizeof one && em[i] != 0)
		i++;
	sink += i;
}

static void
base64_prepare(bool second)
{
	if (second)
		scatter(one, 192);
	else
		memset(one, 0, 192);
}

static void
base64_run(void)
{
	hsm_out text = { work, sizeof work, 0 };

	sink += hsm_base64((hsm_in){ one, 192 }, &text) == HSM_OK;
}

static void
leaky_base64_run(void)
{
	for (size_t i = 0; i < 192; i++) {
		if (((volatile uint8_t *)one)[i] >= 26)
			sink += 'a';
	}
}

static const struct subject { const char *name; void (*prepare)(bool second); void (*run)(void); } subjects[] = {
	{ "comparing secrets", compare_prepare, compare_run },
	{ "control: a comparison that ends at the first difference", compare_prepare, leaky_compare_run },
	{ "CBC padding", padding_prepare, padding_run },
	{ "control: padding looked at byte by byte", padding_prepare, leaky_padding_run },
	{ "PKCS#1 v1.5 padding", pkcs1_prepare, pkcs1_run },
	{ "control: PKCS#1 v1.5 padding that is refused at once", pkcs1_prepare, leaky_pkcs1_run },
	{ "base64", base64_prepare, base64_run },
	{ "control: base64 with a branch a letter", base64_prepare, leaky_base64_run },
};

/* ---- measuring -------------------------------------------------------------------- */

static double times[2][RUNS];

static int
by_size(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double
measure(const struct subject *s)
{
	size_t n[2] = { 0, 0 };
	double mean[2], var[2];

	for (size_t i = 0; i < RUNS; i++) {
		const bool second = (toss() & 1) != 0;
		double start;

		s->prepare(second);
		start = now_ns();
		for (unsigned k = 0; k < 4; k++)
			s->run();
		times[second][n[second]++] = now_ns() - start;
	}
	for (unsigned c = 0; c < 2; c++) {
		const size_t kept = n[c] - n[c] / 10;

		qsort(times[c], n[c], sizeof times[c][0], by_size);
		mean[c] = var[c] = 0;
		for (size_t i = 0; i < kept; i++)
			mean[c] += times[c][i] / (double)kept;
		for (size_t i = 0; i < kept; i++)
			var[c] += (times[c][i] - mean[c]) * (times[c][i] - mean[c]) / (double)kept;
		var[c] /= (double)kept;
	}
	return fabs(mean[0] - mean[1]) / sqrt(var[0] + var[1] + 1e-9);
}

int
main(void)
{
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
		double least = 1e9;

		/* The control is looked for in the quietest round too. */
		for (unsigned round = 0; round < ROUNDS; round++) {
			const double t = measure(&subjects[i]);

			least = t < least ? t : least;
		}
		printf("%s %6.1f %s\n", least < BOUND ? "held" : "told", least, subjects[i].name);
	}
	return 0;
}
