/* scan.c - search all readable memory of another process for secrets.
 *
 *   scan PID < needles        each line: [label] hex, at least 8 bytes
 *
 * Each needle is searched for as it would leak: any aligned 16-byte piece of
 * its bytes (a whole key need not lie together), the same of its bytes in
 * reverse (numbers are kept little-endian), hex in both cases, base64 and
 * base64url in each of the three phases it can have inside a longer text.
 *
 *   hit LABEL KIND MAPPING COUNT
 *   scanned MAPPINGS mappings, BYTES bytes, UNREADABLE unreadable: HITS hits
 *
 * Exit code 0: nothing found; 1: something found; 2: the search failed. A
 * search that finds nothing proves nothing until a needle known to be there
 * was found by the same run: give one as a control. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define NEEDLE_MAX 65536u
#define PATTERN_MAX 32u
#define CHUNK ((size_t)1 << 20)
#define FILTER_BITS 22u

enum kind { RAW, REVERSED, HEX, BASE64, KINDS };
static const char *const kind_names[KINDS] = { "raw", "reversed", "hex", "base64" };

struct pattern { uint8_t bytes[PATTERN_MAX]; size_t len; uint32_t needle; enum kind kind; uint32_t next; };

static struct { char label[64]; } *needles;
static size_t needle_count;
static struct pattern *patterns;
static size_t pattern_count;

/* Patterns by the hash of their first 8 bytes: 1-based heads of chains, and a
 * filter that most positions do not pass. */
static uint32_t chains[1u << 16];
static uint8_t filter[(1u << FILTER_BITS) / 8];

/* A counter for each needle, kind and mapping that had a hit. */
struct hit { uint32_t needle; enum kind kind; char mapping[128]; uint64_t count; };
static struct hit *hits;
static size_t hit_count;

static void *
grow(void *old, size_t count, size_t size)
{
	/* Room doubles at each power of two. */
	if ((count & (count - 1)) == 0)
		old = realloc(old, (count == 0 ? 1 : 2 * count) * size);
	if (old == NULL) {
		fputs("scan: out of memory\n", stderr);
		exit(2);
	}
	return old;
}

static uint64_t
hash_of(const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, 8);
	word *= UINT64_C(0x9e3779b97f4a7c15);
	return word ^ word >> 32;
}

/* ---- needles to patterns ---------------------------------------------------- */

static size_t
kinds_of_bytes(const uint8_t *bytes, size_t len)
{
	bool seen[256] = { false };
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		n += !seen[bytes[i]];
		seen[bytes[i]] = true;
	}
	return n;
}

/* Pieces that any program has (zeros, padding) say nothing. */
static void
pattern_add(const uint8_t *bytes, size_t len, enum kind kind)
{
	struct pattern *p;
	uint64_t hash;

	if (len < 8 || len > PATTERN_MAX || kinds_of_bytes(bytes, len) < 5)
		return;
	patterns = grow(patterns, pattern_count, sizeof(*patterns));
	p = &patterns[pattern_count++];
	memcpy(p->bytes, bytes, len);
	p->len = len;
	p->kind = kind;
	p->needle = (uint32_t)(needle_count - 1);
	hash = hash_of(bytes);
	p->next = chains[hash & 0xffff];
	chains[hash & 0xffff] = (uint32_t)pattern_count;
	hash &= (1u << FILTER_BITS) - 1;
	filter[hash / 8] |= (uint8_t)(1u << (hash % 8));
}

/* Aligned pieces of `piece`, and the last ones so that no tail is left out. */
static void
pieces_add(const uint8_t *bytes, size_t len, size_t piece, enum kind kind)
{
	size_t i = 0;

	if (len <= piece) {
		pattern_add(bytes, len, kind);
		return;
	}
	for (; i + piece <= len; i += piece)
		pattern_add(bytes + i, piece, kind);
	if (i < len)
		pattern_add(bytes + len - piece, piece, kind);
}

static void
hex_add(const uint8_t *bytes, size_t len, const char *digits)
{
	uint8_t *text = malloc(2 * len + 1);

	if (text == NULL)
		return;
	for (size_t i = 0; i < len; i++) {
		text[2 * i] = (uint8_t)digits[bytes[i] >> 4];
		text[2 * i + 1] = (uint8_t)digits[bytes[i] & 15];
	}
	pieces_add(text, 2 * len, 32, HEX);
	free(text);
}

/* As in a longer text, `phase` bytes of a group of three standing before it:
 * the groups that are wholly ours. */
static void
base64_add(const uint8_t *bytes, size_t len, size_t phase, const char *tail)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	size_t skip = (3 - phase) % 3, n = 0;
	uint8_t *text = malloc(len / 3 * 4 + 4);

	if (text == NULL || len < skip)
		goto out;
	for (size_t i = skip; i + 3 <= len; i += 3) {
		uint32_t group = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];

		for (int shift = 18; shift >= 0; shift -= 6) {
			uint32_t digit = group >> shift & 63;

			text[n++] = (uint8_t)(digit < 62 ? digits[digit] : tail[digit - 62]);
		}
	}
	pieces_add(text, n, 20, BASE64);
out:
	free(text);
}

static void
needle_add(const char *label, const uint8_t *bytes, size_t len)
{
	uint8_t *back = malloc(len);

	needles = grow(needles, needle_count, sizeof(*needles));
	snprintf(needles[needle_count].label, sizeof(needles[0].label), "%s", label);
	needle_count++;
	pieces_add(bytes, len, 16, RAW);
	if (back != NULL) {
		for (size_t i = 0; i < len; i++)
			back[i] = bytes[len - 1 - i];
		pieces_add(back, len, 16, REVERSED);
	}
	free(back);
	hex_add(bytes, len, "0123456789abcdef");
	hex_add(bytes, len, "0123456789ABCDEF");
	for (size_t phase = 0; phase < 3; phase++) {
		base64_add(bytes, len, phase, "+/");
		base64_add(bytes, len, phase, "-_");
	}
}

static int
nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static size_t
hex_read(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;

	for (; nibble(text[0]) >= 0 && nibble(text[1]) >= 0 && n < max; text += 2)
		out[n++] = (uint8_t)(nibble(text[0]) << 4 | nibble(text[1]));
	return *text == '\0' || isspace((unsigned char)*text) ? n : 0;
}

static bool
needles_read(FILE *in)
{
	static uint8_t bytes[NEEDLE_MAX];
	char *line = NULL;
	size_t room = 0;

	while (getline(&line, &room, in) > 0) {
		char number[32], *space = strchr(line, ' '), *hex = space == NULL ? line : space + 1;
		size_t len = hex_read(hex, bytes, sizeof(bytes));

		if (line[0] == '\n' || line[0] == '#')
			continue;
		if (len < 8) {
			fputs("scan: a needle is not hex, or shorter than 8 bytes\n", stderr);
			return false;
		}
		if (space != NULL)
			*space = '\0';
		snprintf(number, sizeof(number), "%zu", needle_count);
		needle_add(space == NULL ? number : line, bytes, len);
	}
	free(line);
	return needle_count > 0;
}

/* ---- the search --------------------------------------------------------------- */

static void
hit_add(const struct pattern *p, const char *mapping)
{
	for (size_t i = 0; i < hit_count; i++) {
		if (hits[i].needle == p->needle && hits[i].kind == p->kind && strcmp(hits[i].mapping, mapping) == 0) {
			hits[i].count++;
			return;
		}
	}
	hits = grow(hits, hit_count, sizeof(*hits));
	hits[hit_count] = (struct hit){ .needle = p->needle, .kind = p->kind, .count = 1 };
	snprintf(hits[hit_count].mapping, sizeof(hits[0].mapping), "%s", mapping);
	hit_count++;
}

/* Patterns that begin in the first `starts` bytes; `len` can be read. */
static void
search(const uint8_t *bytes, size_t starts, size_t len, const char *mapping)
{
	for (size_t i = 0; i < starts && i + 8 <= len; i++) {
		uint64_t hash = hash_of(bytes + i);
		uint64_t bit = hash & ((1u << FILTER_BITS) - 1);

		if ((filter[bit / 8] >> (bit % 8) & 1) == 0)
			continue;
		for (uint32_t n = chains[hash & 0xffff]; n != 0; n = patterns[n - 1].next) {
			const struct pattern *p = &patterns[n - 1];

			if (p->len <= len - i && memcmp(p->bytes, bytes + i, p->len) == 0)
				hit_add(p, mapping);
		}
	}
}

/* Bytes read; the search goes on over the seams between chunks. A page that
 * does not read ends the mapping's search, secret memory at its first. */
static uint64_t
mapping_search(int mem, uint64_t from, uint64_t to, const char *name)
{
	static uint8_t room[CHUNK + PATTERN_MAX];
	size_t kept = 0;
	uint64_t at = from;

	while (at < to) {
		size_t want = to - at < CHUNK ? (size_t)(to - at) : CHUNK;
		ssize_t got = pread(mem, room + kept, want, (off_t)at);
		size_t len;

		if (got <= 0)
			break;
		at += (uint64_t)got;
		len = kept + (size_t)got;
		if (at >= to) {
			search(room, len, len, name);
			kept = 0;
			break;
		}
		search(room, len > PATTERN_MAX ? len - PATTERN_MAX : 0, len, name);
		kept = len > PATTERN_MAX ? PATTERN_MAX : len;
		memmove(room, room + len - kept, kept);
	}
	search(room, kept, kept, name);
	return at - from;
}

static bool
process_search(pid_t pid)
{
	char path[64], line[1024];
	uint64_t bytes = 0, total = 0;
	unsigned seen = 0, unreadable = 0;
	FILE *maps;
	int mem;

	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	mem = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	if (mem < 0 || maps == NULL) {
		fprintf(stderr, "scan: process %d: %s\n", (int)pid, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), maps) != NULL) {
		uint64_t from, to, got;
		char mode[5], name[128] = "";

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %*s %*s %*s %127[^\n]", &from, &to, mode, name) < 3 || mode[0] != 'r')
			continue;
		got = mapping_search(mem, from, to, name[0] == '\0' ? "anonymous" : name);
		seen++;
		unreadable += got == 0;
		bytes += got;
	}
	fclose(maps);
	close(mem);
	for (size_t i = 0; i < hit_count; i++) {
		printf("hit %s %s %s %" PRIu64 "\n", needles[hits[i].needle].label, kind_names[hits[i].kind], hits[i].mapping, hits[i].count);
		total += hits[i].count;
	}
	printf("scanned %u mappings, %" PRIu64 " bytes, %u unreadable: %" PRIu64 " hits\n", seen, bytes, unreadable, total);
	if (bytes == 0)
		fputs("scan: nothing could be read\n", stderr);
	return bytes > 0;
}

int
main(int argc, char **argv)
{
	if (argc != 2 || atoi(argv[1]) <= 0) {
		fputs("usage: scan PID < needles (lines of [label] hex)\n", stderr);
		return 2;
	}
	if (!needles_read(stdin) || !process_search(atoi(argv[1])))
		return 2;
	return hit_count == 0 ? 0 : 1;
}
