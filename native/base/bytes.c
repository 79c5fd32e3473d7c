/* bytes.c - the bounded reader and writer, comparisons, wiping. */
#include "bytes.h"

#include <string.h>

#include "lab.h"
#include "mark.h"

/* ---- reader --------------------------------------------------------------- */

static const uint8_t none[1];

void
reader_init(struct reader *r, hsm_in bytes)
{
	r->failed = bytes.ptr == NULL && bytes.len > 0;
	/* Arithmetic on NULL is undefined, even with zero: an empty range gets
	 * an address of its own. */
	r->at = bytes.ptr == NULL ? none : bytes.ptr;
	r->end = bytes.ptr == NULL ? none : bytes.ptr + bytes.len;
}

size_t
reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->at);
}

bool
reader_done(const struct reader *r)
{
	return !r->failed && r->at == r->end;
}

hsm_in
reader_take(struct reader *r, size_t len)
{
	hsm_in view = HSM_NONE;

	if (r->failed || len > (size_t)(r->end - r->at)) {
		r->failed = true;
		return view;
	}
	view.ptr = r->at;
	view.len = len;
	r->at += len;
	return view;
}

static uint64_t
reader_number(struct reader *r, size_t len)
{
	hsm_in view = reader_take(r, len);
	uint64_t value = 0;

	for (size_t i = 0; i < view.len; i++)
		value = value << 8 | view.ptr[i];
	return value;
}

uint8_t
reader_u8(struct reader *r)
{
	return (uint8_t)reader_number(r, 1);
}

uint16_t
reader_u16(struct reader *r)
{
	return (uint16_t)reader_number(r, 2);
}

uint32_t
reader_u32(struct reader *r)
{
	return (uint32_t)reader_number(r, 4);
}

uint64_t
reader_u64(struct reader *r)
{
	return reader_number(r, 8);
}

hsm_in
reader_block16(struct reader *r)
{
	size_t len = reader_u16(r);

	return reader_take(r, len);
}

hsm_in
reader_block32(struct reader *r)
{
	size_t len = reader_u32(r);

	return reader_take(r, len);
}

/* A failed read leaves zeros, not what lay there before. */
void
reader_copy(struct reader *r, void *to, size_t len)
{
	hsm_in view = reader_take(r, len);

	if (len == 0)
		return;
	if (view.ptr == NULL)
		memset(to, 0, len);
	else
		memcpy(to, view.ptr, len);
}

/* ---- writer --------------------------------------------------------------- */

void
writer_init(struct writer *w, uint8_t *ptr, size_t cap)
{
	w->ptr = ptr;
	w->cap = ptr == NULL ? 0 : cap;
	w->len = 0;
	w->failed = false;
}

void
writer_put(struct writer *w, const void *bytes, size_t len)
{
	if (w->failed || len > SIZE_MAX - w->len) {
		w->failed = true;
		return;
	}
	if (len > 0 && w->len <= w->cap && len <= w->cap - w->len)
		memcpy(w->ptr + w->len, bytes, len);
	w->len += len;
}

static void
writer_number(struct writer *w, uint64_t value, size_t len)
{
	uint8_t bytes[8];

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(value >> (8 * (len - 1 - i)));
	writer_put(w, bytes, len);
}

void
writer_u8(struct writer *w, uint8_t value)
{
	writer_number(w, value, 1);
}

void
writer_u16(struct writer *w, uint16_t value)
{
	writer_number(w, value, 2);
}

void
writer_u32(struct writer *w, uint32_t value)
{
	writer_number(w, value, 4);
}

void
writer_u64(struct writer *w, uint64_t value)
{
	writer_number(w, value, 8);
}

/* A length that does not fit its field would be read back as another one. */
void
writer_block16(struct writer *w, hsm_in bytes)
{
	if (bytes.len > UINT16_MAX) {
		w->failed = true;
		return;
	}
	writer_u16(w, (uint16_t)bytes.len);
	writer_put(w, bytes.ptr, bytes.len);
}

void
writer_block32(struct writer *w, hsm_in bytes)
{
	if (bytes.len > UINT32_MAX) {
		w->failed = true;
		return;
	}
	writer_u32(w, (uint32_t)bytes.len);
	writer_put(w, bytes.ptr, bytes.len);
}

/* ---- ranges --------------------------------------------------------------- */

hsm_status
out_need(hsm_out *out, size_t need)
{
	out->len = need;
	return out->ptr != NULL && out->cap < need ? HSM_E_BUFFER : HSM_OK;
}

bool
bytes_equal(hsm_in a, hsm_in b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

#ifdef STRONGROOM_LAB
/* What a careless comparison does, made plain enough for a pupil's clock: the
 * switch says how many thousand turns each byte costs. */
static bool
equal_leaking(const uint8_t *x, const uint8_t *y, size_t len)
{
	volatile uint32_t turns;

	for (size_t i = 0; i < len; i++) {
		for (turns = 0; turns < lab(LAB_LEAKY_COMPARE) * 1000; turns++)
			;
		if (x[i] != y[i])
			return false;
	}
	return true;
}
#else
#define equal_leaking(x, y, len) false
#endif

bool
bytes_equal_secret(const void *a, const void *b, size_t len)
{
	const volatile uint8_t *x = a, *y = b;
	uint32_t differ = 0;

	if (lab(LAB_LEAKY_COMPARE) != 0)
		return equal_leaking(a, b, len);

	for (size_t i = 0; i < len; i++)
		differ |= (uint32_t)(x[i] ^ y[i]);
	/* 0 -> 1, 1..255 -> 0 without a branch on the secret */
	differ = (differ - 1) >> 31;
	mark_public(&differ, sizeof differ);    /* the answer shows, and nothing else */
	return differ != 0;
}

void
bytes_wipe(void *ptr, size_t len)
{
	if (ptr == NULL || len == 0)
		return;
	memset(ptr, 0, len);
	/* Whoever might read *ptr after this: the stores must have happened. */
	__asm__ volatile("" : : "r"(ptr) : "memory");
}
