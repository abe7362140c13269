#include "config.h"

#include "base/plain.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/utf8.h"

/* Controls of both sets, and the marks that turn the direction of what follows, or end a line. */
static bool is_obeyed(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c || (code >= 0x200e && code <= 0x200f) ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

int plain_append(struct buf *out, const char *bytes, size_t n)
{
	while (n > 0) {
		uint32_t code = 0;
		size_t len = utf8_decode(bytes, n, &code);
		int result;
		if (len == 0 || len > n) {
			len = 1;
			result = buf_printf(out, "\\x%02x", (unsigned char)bytes[0]);
		} else if (is_obeyed(code)) {
			result = buf_printf(out, code < 0x80 ? "\\x%02x" : "\\u%04x", code);
		} else {
			result = buf_append(out, bytes, len);
		}
		if (result < 0)
			return -1;
		bytes += len;
		n -= len;
	}
	return 0;
}
