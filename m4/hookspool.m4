# HOOKSPOOL_TRY_FLAG(VARIABLE, FLAG, [KIND])
# Appends FLAG to VARIABLE if the compiler takes it without a word, as an option for KIND (compile, the default, or link).
AC_DEFUN([HOOKSPOOL_TRY_FLAG], [
  AC_MSG_CHECKING([whether $CC takes $2])
  hookspool_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  m4_if([$3], [link],
    [AC_LINK_IFELSE([AC_LANG_PROGRAM()], [hookspool_takes=yes], [hookspool_takes=no])],
    [AC_COMPILE_IFELSE([AC_LANG_PROGRAM()], [hookspool_takes=yes], [hookspool_takes=no])])
  CFLAGS=$hookspool_save_CFLAGS
  AC_MSG_RESULT([$hookspool_takes])
  AS_IF([test $hookspool_takes = yes], [$1="$$1 $2"])
])

# Warnings. Left out: -Wconversion and -Wsign-conversion (system headers' macros and libfcgi's ints answer with hundreds of
# lines that say nothing), -Wswitch-default (it hides a missing case of an enum, which -Wswitch finds).
AC_DEFUN([HOOKSPOOL_WARNINGS], [
  m4_foreach_w([flag], [-Wall -Wextra -Wshadow -Wpointer-arith -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes
    -Wold-style-definition -Wundef -Wvla -Wformat=2 -Wcast-align -Wimplicit-fallthrough],
    [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_CFLAGS], flag)])
  AC_SUBST([HOOKSPOOL_CFLAGS])
])

# What makes a mistake in memory harder to use. _FORTIFY_SOURCE needs optimisation, and the sanitizers do its work better.
AC_DEFUN([HOOKSPOOL_HARDENING], [
  m4_foreach_w([flag], [-fstack-protector-strong -fstack-clash-protection -fcf-protection -fPIE],
    [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_CFLAGS], flag)])
  AS_CASE(["$CFLAGS"],
    [*-fsanitize=*|*-O0*|*_FORTIFY_SOURCE*], [],
    [*-O*], [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_CFLAGS], [-D_FORTIFY_SOURCE=2])])
  HOOKSPOOL_LDFLAGS=$HOOKSPOOL_STATIC
  AS_IF([test -z "$HOOKSPOOL_STATIC"], [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_LDFLAGS], [-pie], [link])])
  m4_foreach([flag], [[-Wl,-z,relro], [-Wl,-z,now], [-Wl,-z,noexecstack], [-Wl,--as-needed]],
    [HOOKSPOOL_TRY_FLAG([HOOKSPOOL_LDFLAGS], [flag], [link])])
  AC_SUBST([HOOKSPOOL_LDFLAGS])
])
