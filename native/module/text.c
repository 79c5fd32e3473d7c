#include "text.h"

#include <string.h>

#include "../base/mark.h"

#include "hsm.h"

/* ---- UTF-8 ---------------------------------------------------------------- */

/* Length of the sequence at `at`, or 0. */
static size_t
utf8_sequence(const uint8_t *at, size_t left)
{
	const uint8_t lead = at[0];
	const size_t len = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
	uint8_t low = 0x80, high = 0xbf;        /* of the second byte */

	if (len == 0 || len > left)
		return 0;
	if (lead == 0xe0)
		low = 0xa0;
	if (lead == 0xed)
		high = 0x9f;
	if (lead == 0xf0)
		low = 0x90;
	if (lead == 0xf4)
		high = 0x8f;
	if (at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < len; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return len;
}

bool
utf8_valid(hsm_in bytes)
{
	size_t i = 0, len;
	uint64_t eight;

	while (i < bytes.len) {
		if (bytes.len - i >= sizeof eight) {
			memcpy(&eight, bytes.ptr + i, sizeof eight);
			if (mark_shown((eight & 0x8080808080808080u) == 0)) {
				i += sizeof eight;
				continue;
			}
		}
		len = mark_shown((bytes.ptr[i] & 0x80) == 0) ? 1 : utf8_sequence(bytes.ptr + i, bytes.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

/* ---- base64 --------------------------------------------------------------- */

/* Sixteen bits a character, and nothing but additions, masks and shifts: the
 * compiler makes vectors of these loops, and no branch of a value.
 *
 * All ones when low <= c <= high, else zero. */
static inline int16_t
within(int16_t c, int16_t low, int16_t high)
{
	return (int16_t)((int16_t)((low - 1 - c) & (c - high - 1)) >> 15);
}

/* Value of a character, or -1. */
static inline int16_t
sextet(int16_t c)
{
	return (int16_t)(-1 + (within(c, 'A', 'Z') & (int16_t)(c - 'A' + 1)) + (within(c, 'a', 'z') & (int16_t)(c - 'a' + 27))
	                 + (within(c, '0', '9') & (int16_t)(c - '0' + 53)) + (within(c, '+', '+') & 63)
	                 + (within(c, '/', '/') & 64));
}

/* Each step of the alphabet moves what is above it. */
static inline int16_t
letter(int16_t v)
{
	return (int16_t)(v + 'A' + (((int16_t)(25 - v) >> 15) & ('a' - 'Z' - 1)) - (((int16_t)(51 - v) >> 15) & ('z' + 1 - '0'))
	                 - (((int16_t)(61 - v) >> 15) & ('9' + 1 - '+')) + (((int16_t)(62 - v) >> 15) & ('/' - '+' - 1)));
}

#define LOT 64u                         /* characters at once */

/* Values of `n` characters; a negative one marks *bad. */
static inline void
sextets(const uint8_t *restrict text, size_t n, int16_t *restrict values, unsigned *bad)
{
	int16_t all = 0;

	for (size_t i = 0; i < n; i++) {
		const int16_t value = sextet(text[i]);

		values[i] = value;
		all = (int16_t)(all | value);
	}
	*bad |= (unsigned)(all < 0);
}

static inline void
letters(const int16_t *restrict values, size_t n, uint8_t *restrict text)
{
	for (size_t i = 0; i < n; i++)
		text[i] = (uint8_t)letter(values[i]);
}

static inline void
join(const int16_t v[4], uint8_t out[3])
{
	const uint32_t all = (uint32_t)(v[0] & 63) << 18 | (uint32_t)(v[1] & 63) << 12 | (uint32_t)(v[2] & 63) << 6 | (uint32_t)(v[3] & 63);

	out[0] = (uint8_t)(all >> 16);
	out[1] = (uint8_t)(all >> 8);
	out[2] = (uint8_t)all;
}

static inline void
split(const uint8_t in[3], int16_t v[4])
{
	const uint32_t all = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];

	v[0] = (int16_t)(all >> 18);
	v[1] = (int16_t)(all >> 12 & 63);
	v[2] = (int16_t)(all >> 6 & 63);
	v[3] = (int16_t)(all & 63);
}

void
base64_quads(hsm_in text, uint8_t *out, unsigned *bad)
{
	int16_t values[LOT];

	while (text.len >= 4) {
		const size_t lot = text.len < LOT ? text.len / 4 * 4 : LOT;

		if (lot == LOT)
			sextets(text.ptr, LOT, values, bad);
		else
			sextets(text.ptr, lot, values, bad);
		for (size_t i = 0; i < lot; i += 4, out += 3)
			join(values + i, out);
		text.ptr += lot;
		text.len -= lot;
	}
	bytes_wipe(values, sizeof values);
}

size_t
base64_last(const uint8_t text[4], uint8_t out[3], unsigned *bad)
{
	const size_t pad = text[3] != '=' ? 0 : text[2] != '=' ? 1 : 2;
	uint8_t quad[4] = { text[0], text[1], text[2], text[3] }, room[3];

	for (size_t i = 0; i < pad; i++)
		quad[3 - i] = 'A';
	base64_quads((hsm_in){ quad, 4 }, room, bad);
	for (size_t i = 3 - pad; i < 3; i++)
		*bad |= room[i];                /* bits that belong to no byte */
	memcpy(out, room, 3 - pad);
	bytes_wipe(quad, sizeof quad);
	bytes_wipe(room, sizeof room);
	return 3 - pad;
}

/* One or two bytes at the end, as if zeroes followed. */
static void
encode_tail(hsm_in rest, uint8_t text[4])
{
	uint8_t three[3] = { 0 };
	int16_t values[4];

	memcpy(three, rest.ptr, rest.len);
	split(three, values);
	letters(values, 4, text);
	text[3] = '=';
	if (rest.len == 1)
		text[2] = '=';
	bytes_wipe(three, sizeof three);
	bytes_wipe(values, sizeof values);
}

void
base64_encode(hsm_in bytes, uint8_t *text)
{
	int16_t values[LOT];

	while (bytes.len >= 3) {
		const size_t lot = bytes.len < LOT / 4 * 3 ? bytes.len / 3 * 4 : LOT;

		for (size_t i = 0; i < lot; i += 4)
			split(bytes.ptr + i / 4 * 3, values + i);
		if (lot == LOT)
			letters(values, LOT, text);
		else
			letters(values, lot, text);
		text += lot;
		bytes.ptr += lot / 4 * 3;
		bytes.len -= lot / 4 * 3;
	}
	if (bytes.len > 0)
		encode_tail(bytes, text);
	bytes_wipe(values, sizeof values);
}

hsm_status
hsm_base64(hsm_in bytes, hsm_out *text)
{
	hsm_status st;

	if (bytes.len > SIZE_MAX / 2) {
		text->len = 0;
		return HSM_E_ARGS;
	}
	if ((st = out_need(text, BASE64_LEN(bytes.len))) == HSM_OK && text->ptr != NULL)
		base64_encode(bytes, text->ptr);
	return st;
}
