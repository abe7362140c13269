/* What `hookspool COMMAND --help` prints: a screen, without the first line, which the table of commands has. */
#ifndef HOOKSPOOL_COMMAND_HELP_H
#define HOOKSPOOL_COMMAND_HELP_H

/* NULL: there is no such command. */
const char *help_text(const char *command);

#endif
