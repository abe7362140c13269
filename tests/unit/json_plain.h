/* The scanner's plain C build under other names, beside the one that was built for this machine: tests run both. */
#ifndef HOOKSPOOL_JSON_PLAIN_H
#define HOOKSPOOL_JSON_PLAIN_H

#include "base/json.h"

static __typeof__(json_scan) plain_scan;
static __typeof__(json_scan_members) plain_scan_members;
static __typeof__(json_walk_begin) plain_walk_begin;
static __typeof__(json_walk_next) plain_walk_next;
static __typeof__(json_decode_string) plain_decode_string;
static __typeof__(json_string_is) plain_string_is;
static __typeof__(json_compact) plain_compact;

#define JSON_PLAIN
#define json_scan          plain_scan
#define json_scan_members  plain_scan_members
#define json_walk_begin    plain_walk_begin
#define json_walk_next     plain_walk_next
#define json_decode_string plain_decode_string
#define json_string_is     plain_string_is
#define json_compact       plain_compact

#include "base/json.c"

#undef JSON_PLAIN
#undef json_scan
#undef json_scan_members
#undef json_walk_begin
#undef json_walk_next
#undef json_decode_string
#undef json_string_is
#undef json_compact

static const struct json_build {
	const char *name;
	__typeof__(json_scan) *scan;
	__typeof__(json_scan_members) *scan_members;
	__typeof__(json_walk_begin) *walk_begin;
	__typeof__(json_walk_next) *walk_next;
	__typeof__(json_decode_string) *decode_string;
	__typeof__(json_string_is) *string_is;
	__typeof__(json_compact) *compact;
} json_builds[] = {
	{"native", json_scan, json_scan_members, json_walk_begin, json_walk_next, json_decode_string, json_string_is,
	 json_compact},
	{"plain", plain_scan, plain_scan_members, plain_walk_begin, plain_walk_next, plain_decode_string,
	 plain_string_is, plain_compact},
};

#define JSON_BUILDS (sizeof json_builds / sizeof json_builds[0])

#endif
