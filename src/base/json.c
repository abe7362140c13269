#include "config.h"

#include "base/json.h"

#include <endian.h>
#include <string.h>

#include "base/utf8.h"

/* Runs once for each token or each few bytes. */
#define HOT static inline __attribute__((always_inline))

typedef unsigned char byte;

/* A row of bytes, looked at in one go: 16 with SSE2, else the 8 of a word. All that follows is the same for both. Of a
 * row that a comparison gives only the highest bit of each byte counts. */
#if defined __SSE2__ && !defined JSON_PLAIN

#include <emmintrin.h>

#define ROW 16
typedef __m128i row;

HOT row row_load(const byte *p)
{
	return _mm_loadu_si128((const void *)p);
}

HOT row row_of(byte c)
{
	return _mm_set1_epi8((char)c);
}

HOT row row_equal(row v, byte c)
{
	return _mm_cmpeq_epi8(v, row_of(c));
}

HOT row row_at_most(row v, byte c)
{
	return _mm_cmpeq_epi8(_mm_min_epu8(v, row_of(c)), v);
}

HOT row row_at_least(row v, byte c)
{
	return _mm_cmpeq_epi8(_mm_max_epu8(v, row_of(c)), v);
}

/* Each byte n places on; the first n become 0. */
#define row_later(v, n) _mm_slli_si128(v, n)

HOT unsigned row_bits(row v)
{
	return (unsigned)_mm_movemask_epi8(v);
}

#else

#define ROW 8
typedef uint64_t row;

HOT row row_load(const byte *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

HOT row row_of(byte c)
{
	return c * UINT64_C(0x0101010101010101);
}

HOT row row_at_most(row v, byte c)
{
	/* The low seven bits of each byte cannot carry into the next byte; the highest bit decides first. */
	row low_above = (v & row_of(0x7f)) + row_of(0x7f - (c & 0x7f));
	return ~(c < 0x80 ? v | low_above : v & low_above);
}

HOT row row_at_least(row v, byte c)
{
	return ~row_at_most(v, c - 1);
}

HOT row row_equal(row v, byte c)
{
	return row_at_most(v ^ row_of(c), 0);
}

#define row_later(v, n) ((v) << 8 * (n))

HOT unsigned row_bits(row v)
{
	return (unsigned)((v >> 7 & row_of(1)) * UINT64_C(0x0102040810204080) >> 56);
}

#endif

/* Which bytes of a row cannot stand where they do in UTF-8 (RFC 3629, section 4), if a character begins at the first.
 * The last character may be cut short. */
static inline unsigned row_utf8_errors(row v)
{
	row before = row_later(v, 1);
	row due = row_at_least(before, 0xc0);
	due |= row_at_least(row_later(v, 2), 0xe0) | row_at_least(row_later(v, 3), 0xf0);
	row trails = row_at_least(v, 0x80) & ~row_at_least(v, 0xc0);
	row never = row_equal(v, 0xc0) | row_equal(v, 0xc1) | row_at_least(v, 0xf5);
	row wrong = (due ^ trails) | never;
	/* The overlong forms, the surrogates, and what is above U+10FFFF. */
	wrong |= row_equal(before, 0xe0) & row_at_most(v, 0x9f);
	wrong |= row_equal(before, 0xf0) & row_at_most(v, 0x8f);
	wrong |= row_equal(before, 0xed) & row_at_least(v, 0xa0);
	wrong |= row_equal(before, 0xf4) & row_at_least(v, 0x90);
	return row_bits(wrong);
}

/* A read_ function takes the place of a token and returns the place behind it; NULL when it is stuck. */
struct reader {
	const byte *end;
	const byte *stuck; /* the first offending byte, or end */
	unsigned levels;   /* that a value may have */
	bool deep;
};

static const byte *stuck_at(struct reader *r, const byte *p)
{
	r->stuck = p;
	return NULL;
}

/* Past what needs no closer look inside a string: to a quote, a backslash, a control character, the end, or a character
 * that may not be UTF-8. */
HOT const byte *skip_text(const byte *p, const byte *end)
{
	while (end - p >= ROW) {
		row v = row_load(p);
		unsigned stops = row_bits(row_equal(v, '"') | row_equal(v, '\\') | row_at_most(v, 0x1f));
		unsigned length = stops != 0 ? (unsigned)__builtin_ctz(stops) : ROW;
		if (__builtin_expect((row_bits(v) & ((1u << length) - 1)) != 0, 0)) {
			/* The stop itself is checked too: it may stand where a character must go on. */
			if ((row_utf8_errors(v) & ((2u << length) - 1)) != 0)
				break;
			/* A character that the row may cut is for the next row. */
			unsigned leads = row_bits(row_at_least(v, 0xc0)) >> (ROW - 3);
			if (stops == 0 && leads != 0)
				length = ROW - 3 + (31 - (unsigned)__builtin_clz(leads));
		}
		p += length;
		if (stops != 0)
			return p;
	}
	while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
		p++;
	return p;
}

/* 0 if the character at p is not UTF-8; one that the end cuts counts as if it went on. */
static size_t character_length(const struct reader *r, const byte *p)
{
	uint32_t code;
	return utf8_decode((const char *)p, (size_t)(r->end - p), &code);
}

static bool is_hex(byte c)
{
	return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static const byte *read_escape(struct reader *r, const byte *p)
{
	if (++p == r->end)
		return stuck_at(r, p);
	switch (*p) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return p + 1;
	case 'u':
		break;
	default:
		return stuck_at(r, p);
	}
	for (int i = 0; i < 4; i++)
		if (++p == r->end || !is_hex(*p))
			return stuck_at(r, p);
	return p + 1;
}

/* What skip_text stopped at, but for the closing quote. */
static const byte *read_special(struct reader *r, const byte *p)
{
	if (p == r->end || *p < 0x20)
		return stuck_at(r, p);
	if (*p == '\\')
		return read_escape(r, p);
	size_t length = character_length(r, p);
	if (length == 0)
		return stuck_at(r, p);
	if (length > (size_t)(r->end - p))
		return stuck_at(r, r->end);
	return p + length;
}

/* From behind an opening quote. Not inlined: it would crowd out what short strings need. */
static __attribute__((noinline)) const byte *read_long_string(struct reader *r, const byte *p)
{
	for (;;) {
		p = skip_text(p, r->end);
		if (p < r->end && *p == '"')
			return p + 1;
		p = read_special(r, p);
		if (p == NULL)
			return NULL;
	}
}

HOT const byte *read_string(struct reader *r, const byte *p)
{
	p++;
	if (r->end - p >= ROW) {
		/* Most strings are short and plain: a quote comes before all else that needs a look. */
		row v = row_load(p);
		unsigned quotes = row_bits(row_equal(v, '"'));
		unsigned others = row_bits(v | row_equal(v, '\\') | row_at_most(v, 0x1f));
		if ((quotes & (others ^ (others - 1))) != 0)
			return p + __builtin_ctz(quotes) + 1;
	}
	return read_long_string(r, p);
}

static const byte *read_digits(struct reader *r, const byte *p)
{
	if (p == r->end || *p < '0' || *p > '9')
		return stuck_at(r, p);
	while (r->end - p >= ROW) {
		row v = row_load(p);
		unsigned others = row_bits(row_at_most(v, '0' - 1) | row_at_least(v, '9' + 1));
		if (others != 0)
			return p + __builtin_ctz(others);
		p += ROW;
	}
	while (p < r->end && *p >= '0' && *p <= '9')
		p++;
	return p;
}

static const byte *read_number(struct reader *r, const byte *p)
{
	if (*p == '-')
		p++;
	if (p < r->end && *p == '0')
		p++;
	else
		p = read_digits(r, p);
	if (p != NULL && p < r->end && *p == '.')
		p = read_digits(r, p + 1);
	if (p != NULL && p < r->end && (*p | 0x20) == 'e') {
		p++;
		if (p < r->end && (*p == '+' || *p == '-'))
			p++;
		p = read_digits(r, p);
	}
	return p;
}

static const byte *read_word(struct reader *r, const byte *p, const char *word)
{
	for (; *word != '\0'; word++, p++)
		if (p == r->end || *p != (byte)*word)
			return stuck_at(r, p);
	return p;
}

static const byte *read_scalar(struct reader *r, const byte *p)
{
	switch (*p) {
	case 'n':
		return read_word(r, p, "null");
	case 'f':
		return read_word(r, p, "false");
	case 't':
		return read_word(r, p, "true");
	default:
		return read_number(r, p);
	}
}

static bool is_space(byte c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const byte *skip_space(const byte *p, const byte *end)
{
	while (p < end && is_space(*p))
		p++;
	return p;
}

/* To the next token. */
HOT const byte *read_space(struct reader *r, const byte *p, bool *spaced)
{
	if (p != r->end && *p > ' ')
		return p;
	const byte *token = skip_space(p, r->end);
	*spaced |= token != p;
	return token < r->end ? token : stuck_at(r, token);
}

/* From behind a key to its value. */
HOT const byte *read_colon(struct reader *r, const byte *p, bool *spaced)
{
	p = read_space(r, p, spaced);
	if (p == NULL)
		return NULL;
	if (*p != ':')
		return stuck_at(r, p);
	return read_space(r, p + 1, spaced);
}

HOT const byte *read_key(struct reader *r, const byte *p, bool *spaced)
{
	if (*p != '"')
		return stuck_at(r, p);
	p = read_string(r, p);
	return p == NULL ? NULL : read_colon(r, p, spaced);
}

static enum json_type type_of(byte first)
{
	switch (first) {
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case '"':
		return JSON_STRING;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		return JSON_NUMBER;
	}
}

/* To the value of the next element or member. */
HOT const byte *read_item(struct reader *r, const byte *p, byte closer, bool *spaced)
{
	return closer == '}' ? read_key(r, p, spaced) : p;
}

/* A value with all that is in it. */
static const byte *read_value(struct reader *r, const byte *p, struct json_value *value)
{
	byte closers[JSON_DEPTH]; /* what ends the levels around the innermost one */
	byte closer = 0;          /* what ends that one */
	unsigned depth = 0;
	uint32_t count = 0;
	bool spaced = false;

	value->type = type_of(*p);
	for (;;) {
		bool more = *p == '{' || *p == '['; /* an element or a member follows */
		if (more) {
			if (depth == r->levels) {
				r->deep = true;
				return stuck_at(r, p);
			}
			closers[depth++] = closer;
			closer = *p + 2;
			p = read_space(r, p + 1, &spaced);
			more = p != NULL && *p != closer;
			if (more) {
				count += depth == 1;
				p = read_item(r, p, closer, &spaced);
			}
		} else {
			p = *p == '"' ? read_string(r, p) : read_scalar(r, p);
		}
		while (p != NULL && !more) {
			if (depth == 0) {
				value->count = count;
				value->spaced = spaced;
				return p;
			}
			p = read_space(r, p, &spaced);
			if (p == NULL)
				return NULL;
			if (*p == ',') {
				more = true;
				count += depth == 1;
				p = read_space(r, p + 1, &spaced);
				if (p != NULL)
					p = read_item(r, p, closer, &spaced);
			} else if (*p == closer) {
				closer = closers[--depth];
				p++;
			} else {
				return stuck_at(r, p);
			}
		}
		if (p == NULL)
			return NULL;
	}
}

/* An object whose members are wanted. */
static const byte *read_members(struct reader *r, const byte *p, struct json_value *object, json_member *each,
				void *arg)
{
	*object = (struct json_value){.type = JSON_OBJECT, .raw = object->raw};
	r->levels--;
	p = read_space(r, p + 1, &object->spaced);
	if (p != NULL && *p == '}')
		return p + 1;
	while (p != NULL) {
		struct json_value value;
		if (*p != '"')
			return stuck_at(r, p);
		const byte *key = p, *key_end = read_string(r, p);
		p = key_end == NULL ? NULL : read_colon(r, key_end, &object->spaced);
		if (p == NULL)
			return NULL;
		value.raw.ptr = (const char *)p;
		p = read_value(r, p, &value);
		if (p == NULL)
			return NULL;
		value.raw.len = (size_t)((const char *)p - value.raw.ptr);
		object->count++;
		object->spaced |= value.spaced;
		each(arg, (struct span){(const char *)key, (size_t)(key_end - key)}, &value);
		p = read_space(r, p, &object->spaced);
		if (p != NULL && *p == '}')
			return p + 1;
		if (p != NULL && *p != ',')
			return stuck_at(r, p);
		if (p != NULL)
			p = read_space(r, p + 1, &object->spaced);
	}
	return NULL;
}

static enum json_error name_error(const struct reader *r)
{
	if (r->deep)
		return JSON_DEEP;
	if (r->stuck == r->end)
		return JSON_END;
	if (*r->stuck >= 0x80 && character_length(r, r->stuck) == 0)
		return JSON_UTF8;
	return JSON_SYNTAX;
}

enum json_error json_scan_members(const char *text, size_t n, struct json_value *value, json_member *each, void *arg,
				  size_t *where)
{
	/* No text may be NULL, from which nothing can be counted. */
	const byte *begin = (const byte *)(n == 0 ? "" : text);
	struct reader r = {.end = begin + n, .stuck = begin, .levels = JSON_DEPTH};
	const byte *p = skip_space(begin, r.end);
	value->raw.ptr = (const char *)p;
	if (p == r.end)
		p = stuck_at(&r, p);
	else if (*p == '{' && each != NULL)
		p = read_members(&r, p, value, each, arg);
	else
		p = read_value(&r, p, value);
	if (p != NULL) {
		value->raw.len = (size_t)((const char *)p - value->raw.ptr);
		p = skip_space(p, r.end);
		if (p == r.end)
			return JSON_OK;
		stuck_at(&r, p);
	}
	*where = (size_t)(r.stuck - begin);
	return name_error(&r);
}

enum json_error json_scan(const char *text, size_t n, struct json_value *value, size_t *where)
{
	return json_scan_members(text, n, value, NULL, NULL, where);
}

/* Text that was scanned is not checked again, only searched: in pieces of 64 bytes. Bit i of a mask is byte i. */
#define PIECE 64

/* The piece at p; one that the end cuts is copied, filled up with what no mask finds. */
static const byte *piece_at(const byte *p, const byte *end, byte copy[PIECE])
{
	if (end - p >= PIECE)
		return p;
	memset(copy, 0xff, PIECE);
	memcpy(copy, p, (size_t)(end - p));
	return copy;
}

/* Finds bytes that are c once the bits of `fold` are set in them. */
HOT uint64_t piece_find(const byte *piece, byte fold, byte c)
{
	uint64_t mask = 0;
#pragma GCC unroll 8
	for (int i = 0; i < PIECE; i += ROW)
		mask |= (uint64_t)row_bits(row_equal(row_load(piece + i) | row_of(fold), c)) << i;
	return mask;
}

HOT uint64_t piece_spaces(const byte *piece)
{
	uint64_t mask = 0;
#pragma GCC unroll 8
	for (int i = 0; i < PIECE; i += ROW)
		mask |= (uint64_t)row_bits(row_at_most(row_load(piece + i), ' ')) << i;
	return mask;
}

/* What one piece leaves to the next. */
struct strings {
	uint64_t inside;  /* all bits: it ends within a string */
	uint64_t escaped; /* the first bit: it ends with a backslash that escapes */
};

/* Each bit that stands behind an escaping backslash. */
static uint64_t find_escaped(struct strings *strings, uint64_t backslashes)
{
	uint64_t escaped = strings->escaped;
	strings->escaped = 0;
	for (backslashes &= ~escaped; backslashes != 0; backslashes &= ~escaped) {
		uint64_t first = backslashes & -backslashes;
		backslashes ^= first;
		escaped |= first << 1;
		strings->escaped = first >> 63;
	}
	return escaped;
}

/* The bytes of strings: from the opening quote to before the closing one. */
HOT uint64_t piece_strings(struct strings *strings, const byte *piece)
{
	uint64_t quotes = piece_find(piece, 0, '"');
	uint64_t backslashes = piece_find(piece, 0, '\\');
	if ((backslashes | strings->escaped) != 0)
		quotes &= ~find_escaped(strings, backslashes);
#pragma GCC unroll 6
	for (int n = 1; n < PIECE; n *= 2)
		quotes ^= quotes << n;
	quotes ^= strings->inside;
	strings->inside = -(quotes >> 63);
	return quotes;
}

/* Past an array or object; fills in `spaced` and `count`. Only its brackets are visited, one by one. */
static const byte *pass_container(struct reader *r, const byte *p, struct json_value *value)
{
	struct strings strings = {0};
	unsigned depth = 0;
	uint64_t spaced = 0;
	const byte *first = skip_space(p + 1, r->end);
	if (first == r->end)
		return stuck_at(r, first);
	value->count = *first == *p + 2 ? 0 : 1;
	for (; p < r->end; p += PIECE) {
		byte copy[PIECE];
		const byte *piece = piece_at(p, r->end, copy);
		uint64_t outside = ~piece_strings(&strings, piece);
		if (outside == 0)
			continue;
		uint64_t spaces = piece_spaces(piece) & outside;
		uint64_t commas = piece_find(piece, 0, ',') & outside;
		uint64_t opens = piece_find(piece, 0x20, '{') & outside;
		uint64_t closes = piece_find(piece, 0x20, '}') & outside;
		for (uint64_t brackets = opens | closes; brackets != 0; brackets &= brackets - 1) {
			uint64_t bracket = brackets & -brackets;
			if (depth == 1)
				value->count += (uint32_t)__builtin_popcountll(commas & (bracket - 1));
			commas &= -bracket;
			depth += (opens & bracket) != 0 ? 1 : -1;
			if (depth == 0) {
				value->spaced = (spaced | (spaces & (bracket - 1))) != 0;
				return p + __builtin_ctzll(bracket) + 1;
			}
		}
		if (depth == 1)
			value->count += (uint32_t)__builtin_popcountll(commas);
		spaced |= spaces;
	}
	return stuck_at(r, r->end);
}

void json_walk_begin(struct json_walk *walk, const struct json_value *container)
{
	bool holds = (container->type == JSON_ARRAY || container->type == JSON_OBJECT) && container->raw.len >= 2;
	*walk = (struct json_walk){
		.at = holds ? container->raw.ptr + 1 : container->raw.ptr,
		.end = holds ? container->raw.ptr + container->raw.len - 1 : container->raw.ptr,
		.object = container->type == JSON_OBJECT,
	};
}

/* A value of scanned text. */
static const byte *pass_value(struct reader *r, const byte *p, struct json_value *value)
{
	*value = (struct json_value){.type = type_of(*p), .raw.ptr = (const char *)p};
	if (value->type == JSON_STRING)
		p = read_string(r, p);
	else if (value->type == JSON_ARRAY || value->type == JSON_OBJECT)
		p = pass_container(r, p, value);
	else
		p = read_scalar(r, p);
	value->raw.len = p == NULL ? 0 : (size_t)((const char *)p - value->raw.ptr);
	return p;
}

bool json_walk_next(struct json_walk *walk)
{
	struct reader r = {.end = (const byte *)walk->end};
	const byte *p = skip_space((const byte *)walk->at, r.end);
	bool spaced = false;

	if (p < r.end && *p == ',')
		p = skip_space(p + 1, r.end);
	if (p == r.end)
		return false;
	if (walk->object) {
		const byte *key = p;
		p = read_string(&r, p);
		if (p == NULL)
			return false;
		walk->key = (struct span){(const char *)key, (size_t)(p - key)};
		p = read_colon(&r, p, &spaced);
	}
	if (p != NULL)
		p = pass_value(&r, p, &walk->value);
	if (p == NULL)
		return false;
	walk->at = (const char *)p;
	return true;
}

/* The number that four hex digits are. */
static uint32_t hex_number(const byte *p)
{
	uint32_t number = 0;
	for (int i = 0; i < 4; i++)
		number = number << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	return number;
}

/* The character of an escape; *at moves behind it. A lone surrogate is given as it is. */
static uint32_t decode_escape(const byte **at, const byte *end)
{
	static const char names[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	const byte *p = *at + 2;
	*at = p;
	if (p[-1] != 'u')
		return (byte)meant[strchr(names, p[-1]) - names];
	uint32_t first = hex_number(p);
	*at = p + 4;
	if (first < 0xd800 || first > 0xdbff || end - p < 10 || p[4] != '\\' || p[5] != 'u')
		return first;
	uint32_t second = hex_number(p + 6);
	if (second < 0xdc00 || second > 0xdfff)
		return first;
	*at = p + 10;
	return 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
}

int json_decode_string(struct span token, struct buf *out, bool *lossy)
{
	const byte *p = (const byte *)token.ptr + 1;
	const byte *end = (const byte *)token.ptr + token.len - 1;
	/* No escape is shorter than what it means. */
	if (buf_reserve(out, token.len) < 0)
		return -1;
	char *to = out->data + out->len;
	while (p < end) {
		const byte *escape = memchr(p, '\\', (size_t)(end - p));
		size_t n = (size_t)((escape == NULL ? end : escape) - p);
		memcpy(to, p, n);
		to += n;
		p += n;
		if (p == end)
			break;
		uint32_t c = decode_escape(&p, end);
		if (c >= 0xd800 && c <= 0xdfff) {
			c = 0xfffd;
			if (lossy != NULL)
				*lossy = true;
		}
		to = utf8_encode(to, c);
	}
	out->len = (size_t)(to - out->data);
	return 0;
}

bool json_string_is(struct span token, const char *text)
{
	const byte *p = (const byte *)token.ptr + 1;
	const byte *end = (const byte *)token.ptr + token.len - 1;
	for (; *text != '\0'; text++) {
		if (p == end)
			return false;
		uint32_t c = *p;
		if (c == '\\')
			c = decode_escape(&p, end);
		else
			p++;
		if (c != (byte)*text)
			return false;
	}
	return p == end;
}

static byte *keep(byte *to, const byte *from, const byte *end)
{
	size_t n = (size_t)(end - from);
	if (to != from && n != 0)
		memmove(to, from, n);
	return to + n;
}

size_t json_compact(char *text, size_t n)
{
	byte *to = (byte *)text;
	const byte *from = to, *end = to + n;
	struct strings strings = {0};

	/* Only bytes of pieces that were looked at are written. */
	for (const byte *p = from; p < end; p += PIECE) {
		byte copy[PIECE];
		const byte *piece = piece_at(p, end, copy);
		uint64_t outside = ~piece_strings(&strings, piece);
		if (outside == 0)
			continue;
		uint64_t spaces = piece_spaces(piece) & outside;
		for (; spaces != 0; spaces &= spaces - 1) {
			const byte *space = p + __builtin_ctzll(spaces);
			to = keep(to, from, space);
			from = space + 1;
		}
	}
	to = keep(to, from, end);
	return (size_t)(to - (byte *)text);
}
