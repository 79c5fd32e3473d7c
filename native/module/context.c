#include "context.h"

#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "text.h"

#define FEW 16u                         /* pairs that need no arena */

struct pair { hsm_in name, value; };

size_t
context_heap(hsm_in pairs)
{
	const size_t most = pairs.len / 8;

	return most <= FEW ? 0 : (most < CONTEXT_PAIRS ? most : CONTEXT_PAIRS) * sizeof(struct pair) + 64;
}

/* How many pairs there are, each well formed. */
static hsm_status
pairs_count(hsm_in pairs, size_t *n)
{
	struct reader r;

	*n = 0;
	if (pairs.len > CONTEXT_MAX)
		return HSM_E_DATA_LEN;
	reader_init(&r, pairs);
	while (reader_left(&r) > 0) {
		const hsm_in name = reader_block32(&r), value = reader_block32(&r);

		if (r.failed || !utf8_valid(name) || !utf8_valid(value))
			return HSM_E_DATA;
		(*n)++;
	}
	return *n <= CONTEXT_PAIRS ? HSM_OK : HSM_E_DATA_LEN;
}

static int
compare_names(const void *x, const void *y)
{
	const hsm_in a = ((const struct pair *)x)->name, b = ((const struct pair *)y)->name;
	const size_t common = a.len < b.len ? a.len : b.len;
	const int order = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);

	return order != 0 ? order : a.len < b.len ? -1 : a.len > b.len;
}

/* Few as they come in most requests; many by the library. */
static void
pairs_sort(struct pair *list, size_t n)
{
	if (n > FEW) {
		qsort(list, n, sizeof *list, compare_names);
		return;
	}
	for (size_t i = 1; i < n; i++) {
		const struct pair one = list[i];
		size_t k = i;

		for (; k > 0 && compare_names(&list[k - 1], &one) > 0; k--)
			list[k] = list[k - 1];
		list[k] = one;
	}
}

static hsm_status
pairs_write(hsm_in pairs, struct pair *list, size_t n, uint8_t *canonical)
{
	struct reader r;
	struct writer w;

	reader_init(&r, pairs);
	for (size_t i = 0; i < n; i++) {
		list[i].name = reader_block32(&r);
		list[i].value = reader_block32(&r);
	}
	pairs_sort(list, n);
	writer_init(&w, canonical, CONTEXT_LEN(pairs.len));
	writer_u32(&w, (uint32_t)n);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && compare_names(&list[i - 1], &list[i]) == 0)
			return HSM_E_DATA;
		writer_block32(&w, list[i].name);
		writer_block32(&w, list[i].value);
	}
	return HSM_OK;
}

hsm_status
context_write(hsm_in pairs, uint8_t *canonical)
{
	struct pair few[FEW], *list = few;
	hsm_status st;
	size_t n;

	if ((st = pairs_count(pairs, &n)) != HSM_OK)
		return st;
	if (n > FEW && (list = arena_alloc(n * sizeof *list)) == NULL)
		return HSM_E_MEMORY;
	st = pairs_write(pairs, list, n, canonical);
	if (list != few)
		arena_free(list);
	return st;
}
