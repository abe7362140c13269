#!/bin/sh
# What a shell script can do behind fcgiwrap: append, sync, answer. It verifies nothing.
{ cat; echo; } >>"$OUT"
sync -d "$OUT"
printf 'Content-Type: text/plain\r\n\r\nok\n'
