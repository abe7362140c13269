#include "config.h"

#include "target/kind.h"

const struct conf_kind *const conf_kinds[] = {
	&target_file_kind.conf,
	&target_run_kind.conf,
	NULL,
};

const struct target_kind *target_kind_of(const struct conf_target *conf)
{
	return (const struct target_kind *)conf->kind;
}
