/* The kinds of targets as a configuration has them. The rows of src/target/kind.c would bring the deliverer along. */
#include "config.h"

#include <stddef.h>

#include "config/conf.h"

static const struct conf_kind file = {"file", .is_file = true}, run = {"run", .is_program = true};
const struct conf_kind *const conf_kinds[] = {&file, &run, NULL};
