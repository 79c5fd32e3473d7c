#include "text.h"

#include <string.h>

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
			if ((eight & 0x8080808080808080u) == 0) {
				i += sizeof eight;
				continue;
			}
		}
		len = bytes.ptr[i] < 0x80 ? 1 : utf8_sequence(bytes.ptr + i, bytes.len - i);
		if (len == 0)
			return false;
		i += len;
	}
	return true;
}

/* ---- base64 --------------------------------------------------------------- */

/* All ones when low <= c <= high, else zero. */
static inline int32_t
within(int32_t c, int32_t low, int32_t high)
{
	return ((low - 1 - c) & (c - high - 1)) >> 16;
}

/* Value of a character, or -1. */
static inline int32_t
sextet(int32_t c)
{
	return -1 + (within(c, 'A', 'Z') & (c - 'A' + 1)) + (within(c, 'a', 'z') & (c - 'a' + 27))
	       + (within(c, '0', '9') & (c - '0' + 53)) + (within(c, '+', '+') & 63) + (within(c, '/', '/') & 64);
}

static inline uint8_t
letter(uint32_t value)
{
	const int32_t v = (int32_t)(value & 63);

	return (uint8_t)((within(v, 0, 25) & (v + 'A')) + (within(v, 26, 51) & (v - 26 + 'a'))
	                 + (within(v, 52, 61) & (v - 52 + '0')) + (within(v, 62, 62) & '+') + (within(v, 63, 63) & '/'));
}

#define LOT 64u                         /* characters at once, for the vectoriser */

/* Values of `n` characters; a negative one marks *bad. */
static inline void
sextets(const uint8_t *text, size_t n, int32_t values[LOT], unsigned *bad)
{
	int32_t all = 0;

	for (size_t i = 0; i < n; i++) {
		values[i] = sextet(text[i]);
		all |= values[i];
	}
	*bad |= (unsigned)all >> 31;
}

static inline void
join(const int32_t v[4], uint8_t out[3])
{
	out[0] = (uint8_t)(v[0] << 2 | v[1] >> 4);
	out[1] = (uint8_t)(v[1] << 4 | v[2] >> 2);
	out[2] = (uint8_t)(v[2] << 6 | v[3]);
}

void
base64_quads(hsm_in text, uint8_t *out, unsigned *bad)
{
	int32_t values[LOT];

	while (text.len >= 4) {
		const size_t lot = text.len < LOT ? text.len / 4 * 4 : LOT;

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

void
base64_encode(hsm_in bytes, uint8_t *text)
{
	size_t i = 0;

	for (; bytes.len - i >= 3; i += 3, text += 4) {
		const uint32_t v = (uint32_t)bytes.ptr[i] << 16 | (uint32_t)bytes.ptr[i + 1] << 8 | bytes.ptr[i + 2];

		for (unsigned k = 0; k < 4; k++)
			text[k] = letter(v >> (18 - 6 * k));
	}
	if (bytes.len - i == 1) {
		text[0] = letter(bytes.ptr[i] >> 2);
		text[1] = letter((uint32_t)bytes.ptr[i] << 4);
		text[2] = text[3] = '=';
	} else if (bytes.len - i == 2) {
		text[0] = letter(bytes.ptr[i] >> 2);
		text[1] = letter((uint32_t)bytes.ptr[i] << 4 | bytes.ptr[i + 1] >> 4);
		text[2] = letter((uint32_t)bytes.ptr[i + 1] << 2);
		text[3] = '=';
	}
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
