#include "config.h"

#include "base/executable.h"

#include <limits.h>
#include <sys/stat.h>

#include "unit.h"

static char *folder;

static int setup(void **state)
{
	(void)state;
	folder = unit_folder();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unit_remove(folder);
	return 0;
}

/* What a file begins with, and a word of what is said of it; NULL: it can be run. */
static const struct {
	const char *text;
	mode_t mode;
	const char *word;
} rows[] = {
	{"#!/bin/sh\nexit 0\n", 0700, NULL},
	{"#! /bin/sh -e\nexit 0\n", 0700, NULL},
	{"#!/bin/sh", 0700, NULL},
	{"#!/bin/sh\n", 0600, "Permission denied"},
	{"#!/bin/sh\r\nexit 0\r\n", 0700, "CR LF"},
	{"#!/usr/bin/env python3\r\n", 0700, "CR LF"},
	{"#!/no/such/interpreter -x\nexit 0\n", 0700, "/no/such/interpreter: No such file or directory"},
	{"#!/etc/passwd\n", 0700, "/etc/passwd: Permission denied"},
	{"#!sh\n", 0700, "\"sh\" as interpreter"},
	{"#!\n", 0700, "no absolute path"},
	{"\xef\xbb\xbf#!/bin/sh\n", 0700, "byte order mark"},
	{"echo hello\n", 0700, "without an interpreter"},
	{"", 0700, "empty"},
};

static void first_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		char why[EXECUTABLE_WHY_SIZE], name[16];
		snprintf(name, sizeof name, "file%zu", i);
		const char *path = unit_path(folder, name);
		unit_write(path, rows[i].text, strlen(rows[i].text));
		assert_int_equal(chmod(path, rows[i].mode), 0);
		const char *fault = executable_fault(path, why);
		unit_check((fault == NULL) == (rows[i].word == NULL), "row %zu: %s", i, fault == NULL ? "" : fault);
		unit_check(fault == NULL || strstr(fault, rows[i].word) != NULL, "row %zu: %s", i, fault);
	}
}

static void other_things(void **state)
{
	(void)state;
	char why[EXECUTABLE_WHY_SIZE], line[PATH_MAX + 8];
	assert_null(executable_fault("/proc/self/exe", why));
	assert_string_equal(executable_fault(folder, why), "it is no regular file");
	assert_string_equal(executable_fault(unit_path(folder, "none"), why), "No such file or directory");
	/* Longer than what the kernel reads of it, and than the text. */
	memset(line, 'x', sizeof line);
	memcpy(line, "#!/", 3);
	unit_write(unit_path(folder, "long"), line, sizeof line);
	assert_int_equal(chmod(unit_path(folder, "long"), 0700), 0);
	assert_non_null(strstr(executable_fault(unit_path(folder, "long"), why), "No such file or directory"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(first_lines, setup, teardown),
		cmocka_unit_test_setup_teardown(other_things, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
