/* A strict scanner of JSON (RFC 8259) that cuts blobs out of a request.
 *
 * One pass, no tree: what is not cut is copied through in runs, between
 * `copied` and `at`. Members of the objects that are open lie on a stack; when
 * an object ends, its members are the top of that stack, are checked for
 * doubles and popped. The way to a value is kept as text ("Recipient" ->
 * "Recipient.AttestationDocument"), which is what the names to cut are given
 * as. Of a blob's characters only escapes and the closing quote can be told
 * from timing; decoding is constant time (text.c). */
#include <stdlib.h>
#include <string.h>

#include "../base/arena.h"
#include "../base/mark.h"
#include "hsm.h"
#include "text.h"

#define DEPTH_MAX 32u
#define NAMES_MAX 32u
#define PATH_MAX_LEN 63u
#define BODY_MAX (64u << 20)
#define MEMBERS_MAX 16384u
#define MEMBERS_FIRST 48u

struct member { hsm_in raw; bool escaped; };

struct cut {
	const uint8_t *at, *end, *copied;
	struct { hsm_in path; bool text; } names[NAMES_MAX];
	size_t names_n;
	bool texts;                     /* some name asks for text */
	struct writer json;
	hsm_out *blobs;
	hsm_span *spans;
	size_t spans_n, spans_cap;
	char path[PATH_MAX_LEN + 1];
	size_t path_len;                /* over PATH_MAX_LEN: nothing matches below here */
	unsigned depth;
	struct member *members, first[MEMBERS_FIRST];
	size_t members_n, members_cap;
};

#define UNMATCHED (PATH_MAX_LEN + 1)

/* How a value is taken: copied through, or cut as base64 or as text. */
enum take { COPY, BASE64, TEXT };

static hsm_status scan_value(struct cut *c, enum take how);

/* ---- characters ----------------------------------------------------------- */

static void
skip_space(struct cut *c)
{
	while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
}

static bool
take(struct cut *c, char wanted)
{
	if (c->at == c->end || *c->at != (uint8_t)wanted)
		return false;
	c->at++;
	return true;
}

static bool
take_word(struct cut *c, const char *word)
{
	const size_t len = strlen(word);

	if ((size_t)(c->end - c->at) < len || memcmp(c->at, word, len) != 0)
		return false;
	c->at += len;
	return true;
}

/* Four hex digits, or -1. */
static int32_t
hex4(const uint8_t *at)
{
	int32_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		const uint8_t c = at[i], low = c | 0x20;

		if (c >= '0' && c <= '9')
			value = value << 4 | (c - '0');
		else if (low >= 'a' && low <= 'f')
			value = value << 4 | (low - 'a' + 10);
		else
			return -1;
	}
	return value;
}

/* The code point of the escape after a backslash; -1: none such. A surrogate
 * counts only as the first half of a pair. Moves *at past it. */
static int32_t
escape_read(const uint8_t **at, const uint8_t *end)
{
	static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const uint8_t letter = *at < end ? *(*at)++ : 0;
	const char *found = letter == 0 ? NULL : strchr(letters, letter);
	int32_t code, low;

	if (found != NULL)
		return values[found - letters];
	if (letter != 'u' || end - *at < 4 || (code = hex4(*at)) < 0)
		return -1;
	*at += 4;
	if (code < 0xd800 || code > 0xdfff)
		return code;
	if (code > 0xdbff || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return -1;
	low = hex4(*at + 2);
	*at += 6;
	return low < 0xdc00 || low > 0xdfff ? -1 : 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

static size_t
utf8_put(int32_t code, uint8_t out[4])
{
	const uint32_t v = (uint32_t)code;

	if (v < 0x80) {
		out[0] = (uint8_t)v;
		return 1;
	}
	if (v < 0x800) {
		out[0] = (uint8_t)(0xc0 | v >> 6);
		out[1] = (uint8_t)(0x80 | (v & 0x3f));
		return 2;
	}
	if (v < 0x10000) {
		out[0] = (uint8_t)(0xe0 | v >> 12);
		out[1] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (v & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | v >> 18);
	out[1] = (uint8_t)(0x80 | (v >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (v >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (v & 0x3f));
	return 4;
}

/* What a string (checked already) says, byte by byte. */
struct spelled { const uint8_t *at, *end; uint8_t held[4]; size_t held_n, held_at; };

static int
spelled_next(struct spelled *s)
{
	if (s->held_at < s->held_n)
		return s->held[s->held_at++];
	if (s->at == s->end)
		return -1;
	if (*s->at != '\\')
		return *s->at++;
	s->at++;
	s->held_n = utf8_put(escape_read(&s->at, s->end), s->held);
	s->held_at = 1;
	return s->held[0];
}

static struct spelled
spelled_start(hsm_in raw)
{
	return (struct spelled){ .at = raw.ptr, .end = raw.ptr + raw.len };
}

/* ---- strings -------------------------------------------------------------- */

/* Quote, backslash or control; the one bit of a character that shows. */
static bool
is_special(uint8_t c)
{
	return mark_shown((int)((((c ^ '"') - 1u) | ((c ^ '\\') - 1u) | (c - 0x20u)) >> 31)) != 0;
}

/* How far plain characters go: neither quote, backslash nor control. Eight at
 * once; no character of base64 is told from another. */
static const uint8_t *
plain_run(const uint8_t *at, const uint8_t *end)
{
	const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
	uint64_t w, quote, slash, special;

	while (end - at >= 8) {
		memcpy(&w, at, sizeof w);
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		special = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((w - ones * 0x20) & ~w);
		if (mark_shown((special & tops) != 0))
			break;
		at += 8;
	}
	while (at < end && !is_special(*at))
		at++;
	return at;
}

/* A string, its quotes left off. */
static hsm_status
scan_string(struct cut *c, hsm_in *raw, bool *escaped)
{
	const uint8_t *start;

	*escaped = false;
	if (!take(c, '"'))
		return HSM_E_FORMAT;
	start = c->at;
	for (;;) {
		c->at = plain_run(c->at, c->end);
		if (take(c, '"'))
			break;
		if (!take(c, '\\') || escape_read(&c->at, c->end) < 0)
			return HSM_E_FORMAT;
		*escaped = true;
	}
	*raw = (hsm_in){ start, (size_t)(c->at - 1 - start) };
	return HSM_OK;
}

/* ---- members: no name twice ----------------------------------------------- */

static int
compare_spelled(const struct member *a, const struct member *b)
{
	struct spelled left = spelled_start(a->raw), right = spelled_start(b->raw);
	int l, r;

	do {
		l = spelled_next(&left);
		r = spelled_next(&right);
	} while (l == r && l >= 0);
	return l < r ? -1 : l > r;
}

static int
compare_members(const void *x, const void *y)
{
	const struct member *a = x, *b = y;
	const size_t common = a->raw.len < b->raw.len ? a->raw.len : b->raw.len;
	int order;

	if (a->escaped || b->escaped)
		return compare_spelled(a, b);
	order = common == 0 ? 0 : memcmp(a->raw.ptr, b->raw.ptr, common);
	return order != 0 ? order : a->raw.len < b->raw.len ? -1 : a->raw.len > b->raw.len;
}

static bool
has_double(struct member *m, size_t n)
{
	if (n <= 8) {
		for (size_t i = 1; i < n; i++) {
			for (size_t k = 0; k < i; k++) {
				if (compare_members(&m[i], &m[k]) == 0)
					return true;
			}
		}
		return false;
	}
	qsort(m, n, sizeof *m, compare_members);
	for (size_t i = 1; i < n; i++) {
		if (compare_members(&m[i - 1], &m[i]) == 0)
			return true;
	}
	return false;
}

static hsm_status
members_grow(struct cut *c)
{
	const size_t cap = c->members_cap * 4;
	struct member *more;

	if (c->members_cap >= MEMBERS_MAX)
		return HSM_E_FORMAT;
	if ((more = arena_alloc(cap * sizeof *more)) == NULL)
		return HSM_E_MEMORY;
	memcpy(more, c->members, c->members_n * sizeof *more);
	if (c->members != c->first)
		arena_free(c->members);
	c->members = more;
	c->members_cap = cap;
	return HSM_OK;
}

static hsm_status
member_push(struct cut *c, hsm_in raw, bool escaped)
{
	static const struct member proto = { { (const uint8_t *)"__proto__", 9 }, false };
	const struct member m = { raw, escaped };
	hsm_status st;

	if (compare_members(&m, &proto) == 0)
		return HSM_E_FORMAT;
	if (c->members_n == c->members_cap && (st = members_grow(c)) != HSM_OK)
		return st;
	c->members[c->members_n++] = m;
	return HSM_OK;
}

/* ---- the way to a value --------------------------------------------------- */

/* A name with a dot or a bracket in it would look like a way that it is not. */
static void
path_push(struct cut *c, hsm_in raw)
{
	struct spelled s = spelled_start(raw);
	size_t len = c->path_len;
	int b;

	if (len >= UNMATCHED)
		return;
	if (len > 0)
		c->path[len++] = '.';
	while ((b = spelled_next(&s)) >= 0 && len < PATH_MAX_LEN && b != '.' && b != '[' && b != 0)
		c->path[len++] = (char)b;
	c->path_len = b < 0 && len <= PATH_MAX_LEN ? len : UNMATCHED;
}

static enum take
path_wanted(const struct cut *c)
{
	if (c->path_len >= UNMATCHED)
		return COPY;
	for (size_t i = 0; i < c->names_n; i++) {
		if (c->names[i].path.len == c->path_len && memcmp(c->names[i].path.ptr, c->path, c->path_len) == 0)
			return c->names[i].text ? TEXT : BASE64;
	}
	return COPY;
}

/* ---- cutting -------------------------------------------------------------- */

/* Everything up to `to` is copied as it is. */
static void
flush(struct cut *c, const uint8_t *to)
{
	writer_put(&c->json, c->copied, (size_t)(to - c->copied));
	c->copied = to;
}

static void
write_index(struct cut *c, size_t index)
{
	uint8_t digits[20];
	size_t n = sizeof digits;

	do {
		digits[--n] = (uint8_t)('0' + index % 10);
		index /= 10;
	} while (index > 0);
	writer_put(&c->json, digits + n, sizeof digits - n);
}

/* How many characters a string has once its escapes are read; a character
 * outside ASCII can only come to nothing. */
static size_t
spelled_len(hsm_in raw, bool escaped)
{
	struct spelled s = spelled_start(raw);
	size_t n = 0;

	if (!escaped)
		return raw.len;
	while (spelled_next(&s) >= 0)
		n++;
	return n;
}

/* The same text without escapes goes through in lots. */
static void
decode_spelled(hsm_in raw, size_t quads, uint8_t *out, uint8_t last[4], unsigned *bad)
{
	struct spelled s = spelled_start(raw);
	uint8_t lot[64];

	while (quads > 0) {
		const size_t n = quads < sizeof lot / 4 ? quads : sizeof lot / 4;

		for (size_t i = 0; i < n * 4; i++)
			lot[i] = (uint8_t)spelled_next(&s);
		base64_quads((hsm_in){ lot, n * 4 }, out, bad);
		out += n * 3;
		quads -= n;
	}
	for (size_t i = 0; i < 4; i++)
		last[i] = (uint8_t)spelled_next(&s);
	bytes_wipe(lot, sizeof lot);
}

/* text.len characters, a multiple of four, at least four. */
static hsm_status
decode(hsm_in raw, bool escaped, size_t len, uint8_t *out, size_t cap, size_t *out_len)
{
	const size_t quads = len / 4 - 1;
	uint8_t last[4], tail[3];
	unsigned bad = 0;
	size_t tail_len;

	if (quads * 3 > cap)
		return HSM_E_BUFFER;
	if (escaped) {
		decode_spelled(raw, quads, out, last, &bad);
	} else {
		base64_quads((hsm_in){ raw.ptr, quads * 4 }, out, &bad);
		memcpy(last, raw.ptr + quads * 4, 4);
	}
	tail_len = base64_last(last, tail, &bad);
	mark_public(&bad, sizeof bad);
	*out_len = quads * 3 + tail_len;
	if (bad == 0 && *out_len <= cap)
		memcpy(out + quads * 3, tail, tail_len);
	bytes_wipe(last, sizeof last);
	bytes_wipe(tail, sizeof tail);
	return bad != 0 ? HSM_E_DATA : *out_len > cap ? HSM_E_BUFFER : HSM_OK;
}

static hsm_status
decode_blob(hsm_in raw, bool escaped, uint8_t *out, size_t cap, size_t *got)
{
	const size_t len = spelled_len(raw, escaped);

	*got = 0;
	if (len % 4 != 0)
		return HSM_E_DATA;
	return len == 0 ? HSM_OK : decode(raw, escaped, len, out, cap, got);
}

/* What the string says, byte by byte: escapes never make it longer. */
static hsm_status
decode_text(hsm_in raw, uint8_t *out, size_t cap, size_t *got)
{
	struct spelled s = spelled_start(raw);
	int b;

	for (*got = 0; (b = spelled_next(&s)) >= 0; (*got)++) {
		if (*got == cap)
			return HSM_E_BUFFER;
		out[*got] = (uint8_t)b;
	}
	bytes_wipe(&s, sizeof s);
	return HSM_OK;
}

static hsm_status
cut_string(struct cut *c, const uint8_t *start, hsm_in raw, bool escaped, enum take how)
{
	uint8_t *const out = c->blobs->ptr + c->blobs->len;
	const size_t cap = c->blobs->cap - c->blobs->len;
	size_t got = 0;
	hsm_status st;

	if (c->spans_n == c->spans_cap)
		return HSM_E_BUFFER;
	st = how == TEXT ? decode_text(raw, out, cap, &got) : decode_blob(raw, escaped, out, cap, &got);
	if (st != HSM_OK)
		return st;
	c->spans[c->spans_n] = (hsm_span){ (uint32_t)c->blobs->len, (uint32_t)got };
	c->blobs->len += got;
	flush(c, start);
	write_index(c, c->spans_n++);
	c->copied = c->at;
	return HSM_OK;
}

/* ---- values --------------------------------------------------------------- */

static bool
take_digits(struct cut *c)
{
	const uint8_t *start = c->at;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > start;
}

static hsm_status
scan_number(struct cut *c)
{
	(void)take(c, '-');
	if (!take(c, '0') && !take_digits(c))
		return HSM_E_FORMAT;
	if (take(c, '.') && !take_digits(c))
		return HSM_E_FORMAT;
	if (take(c, 'e') || take(c, 'E')) {
		if (!take(c, '+'))
			(void)take(c, '-');
		if (!take_digits(c))
			return HSM_E_FORMAT;
	}
	return HSM_OK;
}

static hsm_status
scan_member(struct cut *c)
{
	const size_t path_len = c->path_len;
	bool escaped;
	hsm_in name;
	hsm_status st;

	skip_space(c);
	if ((st = scan_string(c, &name, &escaped)) != HSM_OK)
		return st;
	if ((st = member_push(c, name, escaped)) != HSM_OK)
		return st;
	skip_space(c);
	if (!take(c, ':'))
		return HSM_E_FORMAT;
	path_push(c, name);
	if ((st = scan_value(c, path_wanted(c))) == HSM_OK)
		c->path_len = path_len;         /* a failure keeps the path it happened at */
	return st;
}

static hsm_status
scan_object(struct cut *c)
{
	const size_t mine = c->members_n;
	hsm_status st = HSM_OK;

	skip_space(c);
	if (take(c, '}'))
		return HSM_OK;
	do {
		if ((st = scan_member(c)) != HSM_OK)
			return st;
		skip_space(c);
	} while (take(c, ','));
	if (!take(c, '}') || has_double(c->members + mine, c->members_n - mine))
		return HSM_E_FORMAT;
	c->members_n = mine;
	return HSM_OK;
}

static hsm_status
scan_array(struct cut *c)
{
	const size_t path_len = c->path_len;
	hsm_status st = HSM_OK;

	c->path_len = UNMATCHED;
	skip_space(c);
	if (!take(c, ']')) {
		do {
			if ((st = scan_value(c, COPY)) != HSM_OK)
				return st;
			skip_space(c);
		} while (take(c, ','));
		if (!take(c, ']'))
			return HSM_E_FORMAT;
	}
	c->path_len = path_len;
	return HSM_OK;
}

static hsm_status
scan_nested(struct cut *c, hsm_status (*scan)(struct cut *))
{
	hsm_status st;

	if (c->depth == DEPTH_MAX)
		return HSM_E_FORMAT;
	c->at++;
	c->depth++;
	st = scan(c);
	c->depth--;
	return st;
}

static hsm_status
scan_value(struct cut *c, enum take how)
{
	const uint8_t *start;
	bool escaped;
	hsm_in raw;
	hsm_status st;

	skip_space(c);
	start = c->at;
	if (start == c->end)
		return HSM_E_FORMAT;
	switch (*start) {
	case '{': return scan_nested(c, scan_object);
	case '[': return scan_nested(c, scan_array);
	case '"':
		st = scan_string(c, &raw, &escaped);
		return st == HSM_OK && how != COPY ? cut_string(c, start, raw, escaped, how) : st;
	case 't': return take_word(c, "true") ? HSM_OK : HSM_E_FORMAT;
	case 'f': return take_word(c, "false") ? HSM_OK : HSM_E_FORMAT;
	case 'n': return take_word(c, "null") ? HSM_OK : HSM_E_FORMAT;
	default: return scan_number(c);
	}
}

/* ---- the call ------------------------------------------------------------- */

static hsm_status
names_read(struct cut *c, hsm_in names)
{
	struct reader r;

	reader_init(&r, names);
	while (reader_left(&r) > 0) {
		hsm_in name = reader_block16(&r);
		const bool text = name.len > 0 && name.ptr[0] == '=';

		if (text)
			name = (hsm_in){ name.ptr + 1, name.len - 1 };
		if (r.failed || c->names_n == NAMES_MAX || name.len == 0 || name.len > PATH_MAX_LEN)
			return HSM_E_ARGS;
		c->names[c->names_n].path = name;
		c->names[c->names_n++].text = text;
		c->texts |= text;
	}
	return HSM_OK;
}

static hsm_status
scan_body(struct cut *c)
{
	hsm_status st;

	skip_space(c);
	if (c->at == c->end || *c->at != '{')
		return HSM_E_FORMAT;
	if ((st = scan_value(c, COPY)) != HSM_OK)
		return st;
	skip_space(c);
	if (c->at != c->end)
		return HSM_E_FORMAT;
	flush(c, c->end);
	return c->json.len > c->json.cap ? HSM_E_BUFFER : HSM_OK;
}

/* What blobs take at most; text may be as long as it is written. */
static size_t
blobs_room(const struct cut *c, hsm_in body)
{
	return c->texts ? body.len : body.len / 4 * 3;
}

/* Rooms that always do: a cut never makes the text longer. */
static hsm_status
rooms_need(const struct cut *c, hsm_in body, hsm_out *json, hsm_out *blobs)
{
	const hsm_status for_json = out_need(json, body.len);
	const hsm_status for_blobs = out_need(blobs, blobs_room(c, body));

	return for_json != HSM_OK ? for_json : for_blobs;
}

hsm_status
hsm_json_cut(hsm_in body, hsm_in names, hsm_out *json, hsm_out *blobs, hsm_span *spans, size_t *span_count, char where[64])
{
	struct cut c = { .at = body.ptr, .end = body.ptr + body.len, .copied = body.ptr, .blobs = blobs, .spans = spans,
	                 .spans_cap = *span_count, .members_cap = MEMBERS_FIRST };
	hsm_status st;

	c.members = c.first;
	where[0] = '\0';
	*span_count = 0;
	if ((st = names_read(&c, names)) != HSM_OK) {
		json->len = blobs->len = 0;
		return st;
	}
	if ((st = rooms_need(&c, body, json, blobs)) != HSM_OK || json->ptr == NULL || blobs->ptr == NULL)
		return st;
	json->len = blobs->len = 0;
	st = HSM_E_FORMAT;
	if (body.len == 0 || body.len > BODY_MAX || !utf8_valid(body))
		goto out;
	writer_init(&c.json, json->ptr, json->cap);
	st = scan_body(&c);
out:
	if (c.members != c.first)
		arena_free(c.members);
	if (st == HSM_OK) {
		json->len = c.json.len;
		*span_count = c.spans_n;
		return HSM_OK;
	}
	if (st == HSM_E_DATA && c.path_len <= PATH_MAX_LEN) {
		memcpy(where, c.path, c.path_len);
		where[c.path_len] = '\0';
	}
	bytes_wipe(blobs->ptr, blobs_room(&c, body));
	blobs->len = 0;
	return st;
}
