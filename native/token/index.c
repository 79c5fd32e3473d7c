/* index.c - hash chains over rows that never move while they are used.
 *
 * Rows are addressed by place, chains are doubly linked, so that taking one of
 * 100,000 objects with the same label out costs as much as any. */
#include <stdlib.h>
#include <string.h>

#include "index.h"

static uint64_t
tag_hash(const uint8_t tag[HSM_TOKEN_TAG])
{
	uint64_t h;

	memcpy(&h, tag, sizeof h);              /* keyed already: uniform */
	return h;
}

static uint64_t
number_hash(uint64_t n)
{
	n *= 0x9E3779B97F4A7C15u;
	return n ^ n >> 32;
}

static uint64_t
row_hash(const struct row *row, unsigned chain)
{
	switch (chain) {
	case CHAIN_LABEL:
		return tag_hash(row->label);
	case CHAIN_IDENT:
		return tag_hash(row->ident);
	case CHAIN_HANDLE:
		return number_hash(row->handle);
	default:
		return number_hash(row->id);
	}
}

static uint32_t *
head_of(const struct index *x, unsigned chain, uint64_t hash)
{
	return &x->heads[chain][hash & (x->buckets - 1)];
}

static void
chain_in(struct index *x, uint32_t at, unsigned chain)
{
	struct row *row = &x->rows[at];
	uint32_t *head = head_of(x, chain, row_hash(row, chain));

	row->prev[chain] = NO_ROW;
	row->next[chain] = *head;
	if (*head != NO_ROW)
		x->rows[*head].prev[chain] = at;
	*head = at;
}

static void
chain_out(struct index *x, uint32_t at, unsigned chain)
{
	struct row *row = &x->rows[at];

	if (row->prev[chain] == NO_ROW)
		*head_of(x, chain, row_hash(row, chain)) = row->next[chain];
	else
		x->rows[row->prev[chain]].next[chain] = row->next[chain];
	if (row->next[chain] != NO_ROW)
		x->rows[row->next[chain]].prev[chain] = row->prev[chain];
}

static void
sum_add(uint8_t sum[32], const uint8_t mac[32])
{
	unsigned carry = 0;

	for (int i = 0; i < 32; i++) {
		carry += (unsigned)sum[i] + mac[i];
		sum[i] = (uint8_t)carry;
		carry >>= 8;
	}
}

static void
sum_take(uint8_t sum[32], const uint8_t mac[32])
{
	int borrow = 0;

	for (int i = 0; i < 32; i++) {
		int d = (int)sum[i] - mac[i] - borrow;

		borrow = d < 0;
		sum[i] = (uint8_t)d;
	}
}

void
token_index_init(struct index *x)
{
	memset(x, 0, sizeof *x);
	x->free = NO_ROW;
}

void
token_index_free(struct index *x)
{
	free(x->rows);
	for (unsigned c = 0; c < CHAIN_COUNT; c++)
		free(x->heads[c]);
	token_index_init(x);
}

static hsm_status
buckets_grow(struct index *x, uint32_t buckets)
{
	uint32_t *heads[CHAIN_COUNT] = { NULL };

	for (unsigned c = 0; c < CHAIN_COUNT; c++)
		if ((heads[c] = malloc(buckets * sizeof *heads[c])) == NULL) {
			while (c > 0)
				free(heads[--c]);
			return HSM_E_MEMORY;
		}
	x->buckets = buckets;
	for (unsigned c = 0; c < CHAIN_COUNT; c++) {
		free(x->heads[c]);
		x->heads[c] = heads[c];
		memset(heads[c], 0xFF, buckets * sizeof *heads[c]);
		for (uint32_t i = 0; i < x->used; i++)
			if (x->rows[i].used && (c != CHAIN_HANDLE || x->rows[i].handle != 0))
				chain_in(x, i, c);
	}
	return HSM_OK;
}

static hsm_status
index_room(struct index *x)
{
	uint32_t room = x->room == 0 ? 64 : x->room * 2;
	struct row *rows;
	hsm_status st;

	if (x->free != NO_ROW || x->used < x->room)
		return HSM_OK;
	if (room > UINT32_MAX / 4)
		return HSM_E_MEMORY;
	if ((st = buckets_grow(x, room)) != HSM_OK)
		return st;
	if ((rows = realloc(x->rows, room * sizeof *rows)) == NULL)
		return HSM_E_MEMORY;
	x->rows = rows;
	x->room = room;
	return HSM_OK;
}

hsm_status
token_index_add(struct index *x, const struct row *row)
{
	hsm_status st = index_room(x);
	uint32_t at;

	if (st != HSM_OK)
		return st;
	if (x->free != NO_ROW) {
		at = x->free;
		x->free = x->rows[at].next[CHAIN_ID];
	} else {
		at = x->used++;
	}
	x->rows[at] = *row;
	x->rows[at].used = true;
	x->live++;
	for (unsigned c = 0; c < CHAIN_COUNT; c++)
		if (c != CHAIN_HANDLE || row->handle != 0)
			chain_in(x, at, c);
	sum_add(x->sum, row->mac);
	return HSM_OK;
}

void
token_index_drop(struct index *x, uint32_t at)
{
	struct row *row = &x->rows[at];

	for (unsigned c = 0; c < CHAIN_COUNT; c++)
		if (c != CHAIN_HANDLE || row->handle != 0)
			chain_out(x, at, c);
	sum_take(x->sum, row->mac);
	memset(row, 0, sizeof *row);
	row->next[CHAIN_ID] = x->free;
	x->free = at;
	x->live--;
}

static uint32_t
chain_head(const struct index *x, unsigned chain, uint64_t hash)
{
	return x->buckets == 0 ? NO_ROW : *head_of(x, chain, hash);
}

uint32_t
token_index_by_id(const struct index *x, uint64_t id)
{
	uint32_t at = chain_head(x, CHAIN_ID, number_hash(id));

	while (at != NO_ROW && x->rows[at].id != id)
		at = x->rows[at].next[CHAIN_ID];
	return at;
}

uint32_t
token_index_by_handle(const struct index *x, hsm_key handle)
{
	uint32_t at = handle == 0 ? NO_ROW : chain_head(x, CHAIN_HANDLE, number_hash(handle));

	while (at != NO_ROW && x->rows[at].handle != handle)
		at = x->rows[at].next[CHAIN_HANDLE];
	return at;
}

void
token_index_set_handle(struct index *x, uint32_t at, hsm_key handle)
{
	if (x->rows[at].handle != 0)
		chain_out(x, at, CHAIN_HANDLE);
	x->rows[at].handle = handle;
	if (handle != 0)
		chain_in(x, at, CHAIN_HANDLE);
}

static uint32_t
chain_fit(const struct index *x, enum row_chain chain, const uint8_t tag[HSM_TOKEN_TAG], uint32_t at)
{
	while (at != NO_ROW) {
		const struct row *row = &x->rows[at];

		if (memcmp(chain == CHAIN_LABEL ? row->label : row->ident, tag, HSM_TOKEN_TAG) == 0)
			break;
		at = row->next[chain];
	}
	return at;
}

uint32_t
token_index_first(const struct index *x, enum row_chain chain, const uint8_t tag[HSM_TOKEN_TAG])
{
	return chain_fit(x, chain, tag, chain_head(x, chain, tag_hash(tag)));
}

uint32_t
token_index_next(const struct index *x, enum row_chain chain, const uint8_t tag[HSM_TOKEN_TAG], uint32_t at)
{
	return chain_fit(x, chain, tag, x->rows[at].next[chain]);
}
